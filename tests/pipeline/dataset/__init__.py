"""Tests of splits, gold pairs and leaks."""

"""Tests of generation and screening."""

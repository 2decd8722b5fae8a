"""Tests of the drift reference."""

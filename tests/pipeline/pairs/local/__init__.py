"""Tests of the teachers in this process."""

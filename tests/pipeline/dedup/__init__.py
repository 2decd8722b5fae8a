"""Tests of deduplication."""

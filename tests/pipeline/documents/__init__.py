"""Tests of ingest and clean."""

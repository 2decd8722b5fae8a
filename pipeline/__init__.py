"""Domain code: tables in, tables out. No Prefect, no Label Studio, no clock, no environment.

The stages in order: ingest, clean, deduplicate, chunk, split, generate, screen, review,
train, evaluate, drift.
"""

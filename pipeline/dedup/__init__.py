"""Exact and near duplicates: shingles, signatures, verified clusters."""

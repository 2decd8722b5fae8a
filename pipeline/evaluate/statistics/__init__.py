"""Intervals, tests, power: how sure a difference is."""

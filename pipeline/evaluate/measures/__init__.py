"""Measures of answers, and of what a model is able to besides."""

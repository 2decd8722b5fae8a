"""Tests of base models, loss masks and training."""

"""Judging a model on the frozen test set: answers, metrics, statistics, forgetting, the gate."""

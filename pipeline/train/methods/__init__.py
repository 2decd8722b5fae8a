"""The fine-tuning methods: one table, one row each, and what their rows are made of."""

from pipeline.train.methods.table import METHODS, Method, of_method, parameter_groups, resolved

__all__ = ["METHODS", "Method", "of_method", "parameter_groups", "resolved"]

"""The fine-tuning methods: one table, one row each, and what their rows are made of."""

from pipeline.train.methods.table import (
    METHODS,
    Method,
    Preset,
    of_method,
    parameter_groups,
    rate_at,
    resolved,
)

__all__ = ["METHODS", "Method", "Preset", "of_method", "parameter_groups", "rate_at", "resolved"]

"""A trained adapter as a model that others serve."""

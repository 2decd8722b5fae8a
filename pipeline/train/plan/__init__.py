"""Memory and time of a fine-tuning before it starts, from the model's config alone.

Nothing here imports torch or reads weights: a 70B model is planned in milliseconds.
"""

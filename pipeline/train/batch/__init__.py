"""Rows as tokens, batches of them, and the loss of a batch."""

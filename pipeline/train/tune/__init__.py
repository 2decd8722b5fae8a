"""Automatic choice of method, rank, targets and learning rate on validation loss."""

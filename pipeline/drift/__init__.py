"""What the training data looked like, so that a later check can say what moved."""

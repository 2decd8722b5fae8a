"""Base models, fine-tuning methods and the training loop."""

"""Chunks and seed tasks to training examples: generated, screened, reviewed, split."""

"""Claims about the review queue."""

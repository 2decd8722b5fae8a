"""What a model forgot, and how much of an adapter to keep."""

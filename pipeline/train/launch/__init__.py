"""A training in a process of its own, or on several."""

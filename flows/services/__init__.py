"""The servers that tuneloop starts, and what keeps them running."""

"""Claims about the report."""

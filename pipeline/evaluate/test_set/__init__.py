"""Which rows are asked, and how they are sliced."""

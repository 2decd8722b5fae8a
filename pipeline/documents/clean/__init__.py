"""Documents as read to clean text: page frames, PDF lines, quality, privacy."""

"""From pairs to examples: splits, gold pairs, leaks, chat messages."""

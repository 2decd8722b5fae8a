"""Models that were made: list, load, export, chat."""

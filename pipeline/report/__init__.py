"""What a run tells: its contents, the page, the terminal text."""

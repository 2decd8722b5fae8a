"""The input folder, its files, and what reading them gave."""

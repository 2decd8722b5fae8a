"""The data dictionary: one pandera model a table, each with a version."""

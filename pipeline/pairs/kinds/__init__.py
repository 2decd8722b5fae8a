"""The kinds of tasks that a strong teacher writes, each with its prompts in a text file."""

"""Text as all stages see it: words, tokens, languages, Markdown blocks, chat messages."""

"""Questions for a weak teacher, made of English sentences by rules."""

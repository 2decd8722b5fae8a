"""``tuneloop serve``: the champion behind an OpenAI-compatible endpoint, and a page to ask in."""

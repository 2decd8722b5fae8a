"""Whether a challenger may replace the champion, and what to do instead."""

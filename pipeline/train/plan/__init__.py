"""Memory and time of a fine-tuning before it starts, from a config alone, without torch."""

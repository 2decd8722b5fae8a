"""Base models and adapters: found, checked, loaded, stored."""

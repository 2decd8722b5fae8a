"""One reader a format: bytes in, records with faithful text out."""

"""Models that write pairs: the embedded one, and any behind an endpoint."""

"""Teachers that run in this process; the only part of generate that imports torch."""

"""How people review pairs: the queue, its files, the terminal."""

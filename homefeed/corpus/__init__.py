"""Stage 6: the pins that can be served, and their embeddings."""

"""Stage 4: the two towers and their training."""

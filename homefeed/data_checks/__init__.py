"""Stage 3: is the data fit to train on; and the arithmetic of comparing two distributions."""

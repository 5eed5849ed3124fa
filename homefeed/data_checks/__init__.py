"""Stage 2, at its end: are the data fit to train on."""

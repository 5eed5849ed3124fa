"""Stage 7: the ANN index and its search engine."""

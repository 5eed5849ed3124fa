"""Stage 8: the immutable release bundle, its parts and its store."""

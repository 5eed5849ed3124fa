"""Step 11: the release becomes one that can be served."""

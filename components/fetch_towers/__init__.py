"""Step 2 of a refresh: the towers of the release in production."""

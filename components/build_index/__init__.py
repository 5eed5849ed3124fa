"""Step 8: the vectors of all shards become the search index."""

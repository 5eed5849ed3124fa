"""The vectors of all shards become the search index."""

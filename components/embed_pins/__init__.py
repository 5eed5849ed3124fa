"""One shard of the corpus becomes vectors."""

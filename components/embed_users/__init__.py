"""Step 7: one shard of the corpus becomes vectors."""

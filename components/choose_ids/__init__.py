"""The ID embeddings that the towers may use, where they use any."""

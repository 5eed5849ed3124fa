"""Stage 1: sources become the contract's tables."""

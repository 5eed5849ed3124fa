"""Step 2: a source becomes the contract's tables."""

"""A source becomes the contract's tables."""

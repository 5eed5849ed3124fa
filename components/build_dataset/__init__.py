"""Events become examples and the fitted encoder."""

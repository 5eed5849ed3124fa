"""Step 3: events become examples and the fitted encoder."""

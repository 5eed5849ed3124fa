"""Step 3: what is in production."""

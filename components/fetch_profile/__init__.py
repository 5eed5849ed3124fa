"""Step 3: what the data of the release in production were like."""

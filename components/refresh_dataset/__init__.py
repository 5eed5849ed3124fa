"""Step 4 of a refresh: all of the log, as the towers in production take it."""

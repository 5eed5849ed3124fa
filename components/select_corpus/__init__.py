"""Step 6: the pins that can be served."""

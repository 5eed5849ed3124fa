"""Step 4: the towers are trained."""

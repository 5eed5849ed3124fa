"""Step 4 of ID pre-training: the tables go to where the towers' training takes them from."""

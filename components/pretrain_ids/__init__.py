"""Step 3 of ID pre-training: user and pin ids get vectors."""

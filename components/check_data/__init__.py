"""Step 3: the data are checked before anything is trained on them."""

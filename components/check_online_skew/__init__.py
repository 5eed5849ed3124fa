"""Step 10: serving encodes users as the training did."""

"""Step 7: the corpus gives the pin tower the numbers that it was trained on."""

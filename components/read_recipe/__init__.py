"""Step 1: the recipe, checked and cut into its sections."""

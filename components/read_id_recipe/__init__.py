"""Step 1 of ID pre-training: the recipe, checked, and its sources one by one."""

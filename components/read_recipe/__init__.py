"""The recipe, checked and cut into its sections."""

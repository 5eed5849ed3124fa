"""The recipe, checked, and its sources one by one."""

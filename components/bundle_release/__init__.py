"""Step 9: what serving needs becomes one immutable release."""

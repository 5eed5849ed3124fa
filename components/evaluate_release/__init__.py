"""Step 10: the release is measured beside the baselines."""

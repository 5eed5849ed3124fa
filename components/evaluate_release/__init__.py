"""The release is measured beside the baselines."""

"""Stage 9: metrics, baselines and the report."""

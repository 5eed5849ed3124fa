"""Rankings and their metrics: training validates by them, the release is evaluated by them."""

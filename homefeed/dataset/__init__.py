"""Stage 2: time split, point-in-time history and statistics, training examples."""

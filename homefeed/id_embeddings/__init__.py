"""Stage 3: user and pin ids get vectors from engagements of earlier windows and other surfaces."""

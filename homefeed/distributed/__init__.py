"""Training in several processes: how they find each other, and what they share."""

"""User and pin ids get vectors."""

"""What is in production."""

"""What training minimises, over towers and a batch."""

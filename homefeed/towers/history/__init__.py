"""What the user tower makes of a history, item by item."""

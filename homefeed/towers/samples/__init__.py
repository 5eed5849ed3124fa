"""What one step of training takes: points, and the pins to be found from them."""

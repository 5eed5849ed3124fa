"""The tables go to where the towers' training takes them from."""

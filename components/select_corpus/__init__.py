"""The pins that can be served."""

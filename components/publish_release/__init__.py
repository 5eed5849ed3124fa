"""The release becomes one that can be served."""

"""The towers of the release in production."""

"""The step that writes users to Redis."""

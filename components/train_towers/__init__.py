"""The towers are trained."""

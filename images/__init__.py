"""How the project's container images are built; needed by who builds them, and by no image."""

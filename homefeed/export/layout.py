"""What the exported towers artifact is called."""

EXPORTED_TOWERS = "exported_towers"
"""Kind of the artifact."""

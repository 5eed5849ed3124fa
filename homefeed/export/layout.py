"""What the exported towers artifact is called, and how its vectors are compared."""

EXPORTED_TOWERS = "exported_towers"
"""Kind of the artifact."""
METRIC = "inner_product"
"""How vectors of the two towers are compared; both are unit vectors, so it is the cosine."""

"""Files of the exported towers artifact."""

EXPORTED_TOWERS = "exported_towers"
"""Kind of the artifact."""
USER_TOWER_FILE = "user_tower.pt"
PIN_TOWER_FILE = "pin_tower.pt"
METRIC = "inner_product"
"""How vectors of the two towers are compared; both are unit vectors, so it is the cosine."""

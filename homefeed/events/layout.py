"""Files of the events artifact; the dataset artifact has the first three of them too."""

EVENTS = "events"

ENGAGEMENTS_FILE = "engagements.parquet"
PINS_FILE = "pins.parquet"
USERS_FILE = "users.parquet"
SIGNATURES_FILE = "signatures.parquet"
REJECTS_FILE = "rejects.csv"
IMPRESSIONS_FILE = "impressions.parquet"
"""Of a simulated homefeed alone, and only if its recipe asks for it."""
TRUTH_FOLDER = "truth"
"""Of a simulated homefeed alone: who likes what, as arrays."""

"""Files of the events artifact; the dataset artifact has the first three of them too."""

EVENTS = "events"

ENGAGEMENTS_FILE = "engagements.parquet"
PINS_FILE = "pins.parquet"
USERS_FILE = "users.parquet"
SIGNATURES_FILE = "signatures.parquet"
REJECTS_FILE = "rejects.csv"

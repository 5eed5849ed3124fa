"""Folders, columns and splits of the dataset artifact."""

DATASET = "dataset"

EXAMPLES_FOLDER = "examples"
"""Holds a folder of Parquet files for each split."""

DUPLICATES_FILE = "duplicates.parquet"
"""Pins that another pin stands for."""
EXCLUDED_FILE = "excluded.parquet"
"""Events that are neither examples nor history, such as hides, by which the corpus judges pins."""

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
"""In the order in which they may know of each other: each knows itself and those before it."""

KNOWN = "known"
"""Split of every event of a data set for serving alone: nothing of it is held back."""

SPLIT = "split"
PIN_INDEX = "pin_index"
USER_INDEX = "user_index"
IS_BLOCKED = "is_blocked"
"""Of a pin: whether it, or one that it stands for, must not be served."""
NUM_TODAY = "num_today"
"""Of an example: how many events of its user came before it in the last 24 hours."""

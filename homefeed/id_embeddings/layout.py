"""Files of the ID embeddings artifact, and of what is prepared for its training."""

from pathlib import Path

import msgspec

ID_EMBEDDINGS = "id_embeddings"
"""Kind of the artifact, and folder of the published ones in a store."""
USERS, PINS = "users", "pins"
"""The two tables."""
USER_TABLE_FILE = "users.parquet"
"""`user_id` and `embedding`, a list of float32, sorted by id."""
PIN_TABLE_FILE = "pins.parquet"
"""`pin_id` and `embedding`, a list of float32, sorted by id."""
TRAINING_FILE = "training.json"
EMBEDDING = "embedding"

PAIRS_FILE = "pairs.parquet"
"""Of the prepared folder: user_row, pin_row and timestamp of each positive, by time."""
USER_IDS_FILE = "user_ids.parquet"
PIN_IDS_FILE = "pin_ids.parquet"
"""Of the prepared folder: the ids, sorted; an id's place is its row in the table."""
RECIPE_FILE = "recipe.yaml"


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """What one epoch came to; `epoch` counts from 1."""

    epoch: int
    train_loss: float
    """Mean loss over the epoch's batches."""
    validation: dict[str, float] = {}
    """Metrics on the held-out last part of the window, by name ("recall@10", ...)."""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How the training went."""

    epochs: tuple[Epoch, ...]
    """Of the training without the held-out part."""
    best_epoch: int
    """The one that validated best."""
    refit: tuple[Epoch, ...]
    """Of the training on the whole window, whose tables are kept."""

    def as_metrics(self) -> dict[str, float]:
        """All of it by name, to show in a table."""
        shown = {"best epoch": float(self.best_epoch)}
        for each in self.epochs:
            found = {"loss": each.train_loss, **each.validation}
            shown |= {f"epoch {each.epoch} {name}": value for name, value in found.items()}
        return shown | {f"refit epoch {each.epoch} loss": each.train_loss for each in self.refit}


def read_training(tables: Path) -> Training:
    """How the training of an artifact went."""
    return msgspec.json.decode((tables / TRAINING_FILE).read_bytes(), type=Training)

"""Files of the towers artifact."""

from pathlib import Path

import msgspec

TOWERS = "towers"
"""Kind of the artifact."""
WEIGHTS_FILE = "weights.pt"
"""State dict of both towers."""
TOWERS_CONFIG_FILE = "config.json"
"""The effective towers and training sections."""
TRAINING_FILE = "training.json"


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """What one epoch came to; `epoch` counts from 1."""

    epoch: int
    train_loss: float
    """Mean loss over the epoch's batches."""
    validation: dict[str, float]
    """Metrics on the validation split, by name ("recall@10", ...)."""
    temperature: float
    """Of the softmax; 1 for objectives without one."""
    num_examples: int
    """Examples, or users, that its batches held."""
    seconds: dict[str, float]
    """By part of a step: data, forward, backward, optimizer; without validation."""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How the training went."""

    epochs: tuple[Epoch, ...]
    best_epoch: int
    """The epoch that validated best; its weights were kept, unless there was a refit."""
    metric: str
    """The validation metric that chose it."""
    refit: tuple[Epoch, ...] = ()
    """Epochs of the training anew on the training and validation parts, whose last weights were
    kept then; without validation metrics."""


def read_training(towers: Path) -> Training:
    """How the training of a towers artifact went."""
    return msgspec.json.decode((towers / TRAINING_FILE).read_bytes(), type=Training)

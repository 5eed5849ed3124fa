"""Shapes of the two towers and how they are trained."""

from typing import Any, Literal

from homefeed.config import Config


def _positive(config: Any, section: str, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise ValueError(f"{section}.{name}={getattr(config, name)} must be positive")


class MaskNetConfig(Config, frozen=True):
    """Parallel MaskNet blocks and their bottleneck."""

    blocks: int = 4
    width: int = 128
    """Output width of each block."""
    ratio: float = 0.5
    """Hidden width of the mask's MLP as a share of its input."""

    def __post_init__(self) -> None:
        _positive(self, "towers.crossing", "blocks", "width", "ratio")


class TowersConfig(Config, frozen=True):
    """The two towers."""

    field_dimension: int = 64
    """Width d of every field."""
    embedding_dimension: int = 64
    """Width D of the towers' output."""
    crossing: MaskNetConfig = MaskNetConfig()
    dropout: float = 0.0
    """In the crossing's blocks."""

    def __post_init__(self) -> None:
        _positive(self, "towers", "field_dimension", "embedding_dimension")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"towers.dropout={self.dropout} must lie in [0, 1)")


class TrainingConfig(Config, frozen=True):
    """The training loop."""

    batch_size: int = 2048
    block_batches: int = 8
    """Batches are drawn from blocks of so many of them that follow each other in time. Larger
    blocks mix more users; smaller ones have negatives whose statistics are of the same time."""
    max_examples_per_user_day: int | None = None
    """An example with so many of its user's in the 24 hours before it is left out; null takes all.
    Where some users engage with hundreds of pins in one evening, what they took last outweighs what
    everybody takes first."""
    max_epochs: int = 5
    patience: int = 1
    """Training stops after so many epochs in a row without a better validation metric."""
    validation_metric: Literal["recall@10", "ndcg@10", "recall@100"] = "recall@10"
    """Chooses how many epochs are trained."""
    refit: bool = True
    """Train anew on training and validation examples once validation has chosen the number of
    epochs, so that the towers learn from all that came before they serve. The encoder stays: pins
    that only the validation part has share the out-of-vocabulary row."""
    history_dropout: float = 0.0
    """Share of each history's items that the user tower does not see in training. A user's examples
    of one day have one history; whole, it is soon known by heart."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    temperature: float = 0.05
    """Start of the softmax temperature."""
    learn_temperature: bool = True
    min_temperature: float = 0.01
    checkpoint_seconds: float = 30.0
    """An interrupted training goes on from where it was at most so long before."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        _positive(self, "training", "block_batches", "max_epochs", "learning_rate", "temperature")
        _positive(self, "training", "min_temperature", "patience")
        most = self.max_examples_per_user_day
        if most is not None and most < 1:
            raise ValueError(
                f"training.max_examples_per_user_day={most} must be at least 1, or null for all"
            )
        if not 0 <= self.history_dropout < 1:
            raise ValueError(f"training.history_dropout={self.history_dropout} must lie in [0, 1)")
        if self.batch_size < 2:
            raise ValueError(
                f"training.batch_size={self.batch_size} must be at least 2: the other rows of the "
                "batch are the negatives"
            )
        for name in ("weight_decay", "checkpoint_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"training.{name}={getattr(self, name)} must not be negative")

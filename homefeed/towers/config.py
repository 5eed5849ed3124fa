"""Shapes of the two towers and how they are trained."""

from typing import Literal

from homefeed.config import Config


class MaskNetConfig(Config, frozen=True):
    """Parallel MaskNet blocks and their bottleneck."""

    blocks: int = 4
    width: int = 128
    """Output width of each block."""
    ratio: float = 0.5
    """Hidden width of the mask's MLP as a share of its input."""


class TowersConfig(Config, frozen=True):
    """The two towers."""

    field_dimension: int = 64
    """Width d of every field."""
    embedding_dimension: int = 64
    """Width of the towers' output."""
    crossing: MaskNetConfig = MaskNetConfig()
    history_dropout: float = 0.0
    """Share of history items dropped in training."""
    dropout: float = 0.0


class TrainingConfig(Config, frozen=True):
    """The training loop."""

    batch_size: int = 4096
    max_epochs: int = 10
    patience: int = 2
    """Epochs without a better validation metric before training stops."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    temperature: float = 0.05
    """Start of the softmax temperature."""
    learn_temperature: bool = True
    min_temperature: float = 0.01
    uniform_negatives: int = 0
    """Negatives drawn uniformly from the pins, beside those of the batch."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

"""How a tower's fields are crossed."""

from typing import Any, Literal

from homefeed.config import Config


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise ValueError(f"towers.crossing.{name}={getattr(config, name)} must be positive")


class MLPConfig(Config, frozen=True, tag_field="kind", tag="mlp"):
    """All fields through one MLP."""

    widths: tuple[int, ...] = (256,)
    """Of the hidden layers; none is one linear map."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """After each hidden layer."""
    normalise_fields: bool = True
    """Whether each field passes a LayerNorm of its own first."""
    shortcut: bool = False
    """Whether the sum of the fields, as they are, is added to what the MLP gives; through a linear
    map where the output has another width."""

    def __post_init__(self) -> None:
        if any(width <= 0 for width in self.widths):
            raise ValueError(f"towers.crossing.widths={list(self.widths)} must be positive")


class MaskNetConfig(Config, frozen=True, tag_field="kind", tag="masknet"):
    """Parallel MaskNet blocks and their bottleneck."""

    blocks: int = 4
    width: int = 128
    """Output width of each block."""
    ratio: float = 0.5
    """Hidden width of the mask's MLP as a share of its input."""

    def __post_init__(self) -> None:
        _positive(self, "blocks", "width", "ratio")


class DHENConfig(Config, frozen=True, tag_field="kind", tag="dhen"):
    """Two layers of two interactions each, side by side.

    The papers' are larger: MER has a transformer 256 wide with 4 heads and MLPs of 1024.
    """

    order: Literal["seed", "mer"] = "seed"
    """seed: MLP beside parallel MaskNet, then MLP beside a transformer over the fields. mer: MLP
    beside the transformer, then MLP beside MaskNet."""
    mlp_width: int = 128
    """Hidden width of the MLPs."""
    heads: int = 4
    """Of the transformer's attention; they must divide `towers.field_dimension`."""
    masknet: MaskNetConfig = MaskNetConfig()

    def __post_init__(self) -> None:
        _positive(self, "mlp_width", "heads")


class IdentityConfig(Config, frozen=True, tag_field="kind", tag="identity"):
    """A single field as it is, or through one linear map where the output has another width.

    For towers that are a table of embeddings.
    """


Crossing = MLPConfig | MaskNetConfig | DHENConfig | IdentityConfig

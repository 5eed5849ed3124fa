"""What training minimises."""

from typing import Any, Literal

from homefeed.config import Config


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise ValueError(f"training.objective.{name}={getattr(config, name)} must be positive")


class SampledSoftmaxConfig(Config, frozen=True, tag_field="kind", tag="sampled_softmax"):
    """Each example's pin is told from its batch's others, by cosines over a temperature.

    See `homefeed.losses.sampled_softmax`.
    """

    temperature: float = 0.05
    """Start of the softmax temperature."""
    learn_temperature: bool = True
    min_temperature: float = 0.01
    num_uniform: int = 0
    """Pins drawn uniformly beside a batch's own as negatives (mixed negatives)."""
    frequencies: Literal["block", "streaming", "count_min", "none"] = "block"
    """How often a pin is among the candidates, which its logit is corrected for. block: counted
    exactly in the block that a batch is drawn from; streaming: estimated from the steps between
    its batches; count_min: counted in a sketch; none: no correction."""
    corrected: bool = False
    """The form of the correction that leaves the positive out of the denominator
    (arXiv 2507.09331)."""

    def __post_init__(self) -> None:
        _positive(self, "temperature", "min_temperature")
        if self.num_uniform < 0:
            raise ValueError(
                f"training.objective.num_uniform={self.num_uniform} must not be negative"
            )


class FullSoftmaxConfig(Config, frozen=True, tag_field="kind", tag="full_softmax"):
    """Each example's pin is told from all pins; for catalogues of some ten thousand.

    It needs a pin tower without statistics: these are of a time, which a catalogue is not.
    """

    temperature: float = 0.1
    """Start of the softmax temperature."""
    learn_temperature: bool = False
    min_temperature: float = 0.01

    def __post_init__(self) -> None:
        _positive(self, "temperature", "min_temperature")


class SquareConfig(Config, frozen=True, tag_field="kind", tag="square"):
    """A user's pins are to score 1 and all pins 0, with iALS's weights (`homefeed.losses.square`).

    It needs a pin tower without statistics, as `full_softmax` does, and mostly
    `towers.normalise: false`.
    """

    unobserved_weight: float = 0.5
    """Weight of the zeros, beside 1 for the user's own pins."""
    user_exponent: float = 0.0
    """A user with n pins to find weighs n to the power of minus this, so that those with long
    histories, who have the most squares, do not decide alone; 0 weighs all alike."""
    regularisation: float = 0.001
    """Of both sides' vectors, each by its frequency."""
    frequency_exponent: float = 1.0
    """How strongly a vector's frequency scales its regularisation; 0 is not at all."""

    def __post_init__(self) -> None:
        _positive(self, "unobserved_weight")
        for name in ("user_exponent", "regularisation", "frequency_exponent"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"training.objective.{name}={getattr(self, name)} must not be negative"
                )


Objective = SampledSoftmaxConfig | FullSoftmaxConfig | SquareConfig

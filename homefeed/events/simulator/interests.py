"""Interests: how frequent each is, and the trends in which they rise and fall."""

from dataclasses import dataclass

import numpy as np

from homefeed.events.simulator.config import Simulator

_WIDTH_DEVIATION = 0.3
"""Of the logarithm of a trend's width: some last half as long, some twice."""


@dataclass(frozen=True)
class Interests:
    """How frequent each of J interests is, and T trends.

    Attributes:
        prevalence: p, float64 [J], sums to 1.
        trend_interest: which interest each trend lifts, int64 [T].
        trend_day: c, days from the start at which each is highest, float64 [T].
        trend_width: w, days, float64 [T].
        trend_height: h, float64 [T].
    """

    prevalence: np.ndarray
    trend_interest: np.ndarray
    trend_day: np.ndarray
    trend_width: np.ndarray
    trend_height: np.ndarray

    def lift(self, day: float) -> np.ndarray:
        """b(t), the sum of the trends of each interest at a day: float32 [J]."""
        distance = (day - self.trend_day) / self.trend_width
        bumps = self.trend_height * np.exp(-(distance**2) / 2)
        sums = np.bincount(self.trend_interest, bumps, minlength=len(self.prevalence))
        return sums.astype(np.float32)


def draw_interests(config: Simulator, generator: np.random.Generator) -> Interests:
    """Draws the trends; the prevalences are given."""
    weight = np.arange(1, config.interests + 1) ** -float(config.interest_exponent)
    num = config.trends
    return Interests(
        prevalence=weight / weight.sum(),
        trend_interest=generator.integers(config.interests, size=num),
        trend_day=config.days * generator.random(num),
        trend_width=config.trend_days * np.exp(_WIDTH_DEVIATION * generator.standard_normal(num)),
        trend_height=config.trend_height * (0.5 + 0.5 * generator.random(num)),
    )


def interest_names(num_interests: int) -> list[str]:
    """What each interest is called, as in `interest_07`: names sort as their numbers do."""
    width = len(str(num_interests - 1))
    return [f"interest_{interest:0{width}}" for interest in range(num_interests)]


def draw_rows(
    probabilities: np.ndarray, size: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Independent draws of rows of `probabilities[N]`: int64 of a shape."""
    sums = np.cumsum(probabilities)
    return np.searchsorted(sums[:-1], sums[-1] * generator.random(size), side="right")

"""What a user does with a pin that is shown: a multinomial logit of utility and position."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from homefeed.contracts import Action
from homefeed.events.simulator.slates import Slates, Surface

NOTHING = "nothing"


class Option(NamedTuple):
    """One of the things to do: `v = offset + slope * u`, beside 0 for nothing."""

    action: Action
    offset: float
    slope: float


OPTIONS = (
    Option(Action.CLOSEUP, 0.0, 0.8),
    Option(Action.CLICK, -0.6, 1.0),
    Option(Action.SAVE, -1.5, 1.3),
    Option(Action.HIDE, -1.5, -0.7),
)
"""A save takes more than a closeup, and comes more surely from a pin that is liked."""
CHOICES = (NOTHING, *(option.action.value for option in OPTIONS))


def weigh(slates: Slates, surface: Surface) -> np.ndarray:
    """What each option weighs, before the common intercept: float32 [options, L, S].

    `exp(v) * l ** -gamma`; 0 for what is not shown.
    """
    places = np.arange(1, len(slates.pins) + 1, dtype=np.float32)[:, None]
    seen = slates.is_shown * places ** np.float32(-surface.position_exponent)
    weights = np.empty((len(OPTIONS), *slates.pins.shape), np.float32)
    for weight, option in zip(weights, OPTIONS, strict=True):
        np.multiply(slates.utilities, np.float32(option.slope), out=weight)
        weight += np.float32(option.offset)
        np.exp(weight, out=weight)
        weight *= seen
    return weights


def choose(weights: np.ndarray, factor: float, generator: np.random.Generator) -> np.ndarray:
    """Draws a row of `CHOICES` for each impression: int8 [L, S].

    Args:
        weights: from `weigh`, [options, L, S].
        factor: e to the common intercept, of `find_factor`.
        generator: decides.
    """
    sums = weights.copy()
    for before, after in pairwise(sums):
        after += before
    chance = generator.random(weights.shape[1:], np.float32)
    # Nothing weighs 1 and is the part of the chance that lies above all options.
    chance *= sums[-1] + np.float32(1 / factor)
    choices = np.zeros(chance.shape, np.int8)
    for row in range(len(OPTIONS), 0, -1):
        choices[chance < sums[row - 1]] = row
    return choices


def find_factor(weights: np.ndarray, rate: float) -> float:
    """The factor, e to the intercept, with which a share of the impressions is engaged with.

    Args:
        weights: sum over the options of each shown impression, [N].
        rate: the share.
    """
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        engaged = np.exp(middle) * weights
        if np.mean(engaged / (1 + engaged)) < rate:
            low = middle
        else:
            high = middle
    return float(np.exp(middle))

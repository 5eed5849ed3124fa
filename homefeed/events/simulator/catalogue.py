"""Which pins a day can show, and how often each of an interest."""

from dataclasses import dataclass

import numpy as np

from homefeed.events.simulator.config import SECONDS_A_DAY
from homefeed.events.simulator.pins import Pins

EVERGREEN = 0.1
"""How often an old pin is shown, as a share of a new one."""
_CARDS_A_PIN = 4
_MORE_CARDS = 1_024
"""An interest of few pins has so many cards, lest they are shown equally often."""


@dataclass(frozen=True)
class Catalogue:
    """A deck of cards for each interest; a pin is on as many of them as it is often shown.

    One draw costs one look-up, however many pins there are.

    Attributes:
        pins: the pin of each card, those of an interest in a row: int32 [C].
        start: first card of each interest, int64 [J].
        num_cards: of each interest, int64 [J].
    """

    pins: np.ndarray
    start: np.ndarray
    num_cards: np.ndarray

    def draw(self, interests: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """A pin of each of `interests[...]`: int32 of the same shape."""
        place = generator.random(interests.shape) * self.num_cards[interests]
        return self.pins[self.start[interests] + place.astype(np.int64)]


def sort_by_interest(pins: Pins) -> np.ndarray:
    """The order of pins that `make_catalogue` needs, int64 [P]."""
    return np.argsort(pins.interests[0], kind="stable")


def make_catalogue(
    pins: Pins,
    by_interest: np.ndarray,
    num_interests: int,
    at: int,
    fresh_days: float,
    generator: np.random.Generator,
) -> Catalogue:
    """The catalogue of pins made at a time or before it.

    Args:
        pins: all pins.
        by_interest: from `sort_by_interest`.
        num_interests: J.
        at: Unix seconds.
        fresh_days: half-life of being new.
        generator: decides on parts of cards, anew for each catalogue.
    """
    rows = by_interest[pins.created_at[by_interest] <= at]
    age_days = (at - pins.created_at[rows]) / SECONDS_A_DAY
    weight = pins.popularity[rows] * (EVERGREEN + np.exp2(-age_days / fresh_days))
    num_pins = np.bincount(pins.interests[0][rows], minlength=num_interests)
    assert num_pins.all(), "every interest has a pin from before the start"
    num_cards = _CARDS_A_PIN * num_pins + _MORE_CARDS
    last = np.cumsum(num_pins) - 1
    sums = np.cumsum(weight)
    before = np.concatenate([[0], sums[last[:-1]]])
    share = (sums - np.repeat(before, num_pins)) / np.repeat(sums[last] - before, num_pins)
    # Systematic sampling: pin i has floor or ceil of its expected cards, without bias.
    ends = np.floor(share * np.repeat(num_cards, num_pins) + generator.random()).astype(np.int64)
    ends = np.minimum(ends, np.repeat(num_cards, num_pins))
    ends[last] = num_cards
    start = np.cumsum(num_cards) - num_cards
    ends += np.repeat(start, num_pins)
    cards = np.repeat(rows.astype(np.int32), np.diff(ends, prepend=0))
    return Catalogue(pins=cards, start=start, num_cards=num_cards)

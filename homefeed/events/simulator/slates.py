"""What the sessions of each surface show."""

from dataclasses import dataclass

import numpy as np

from homefeed.events.simulator.catalogue import Catalogue
from homefeed.events.simulator.interests import draw_rows
from homefeed.events.simulator.world import World


@dataclass(frozen=True)
class Surface:
    """How a surface chooses and shows.

    Attributes:
        explored: share of the places that are filled from what is frequent or a trend, whoever the
            user is.
        is_of_one_interest: whether all of a session is of the interest that the user came with.
        is_like_a_pin: whether it is of the interests of a pin of that interest.
        position_exponent: gamma; the l-th place counts `l ** -gamma`.
    """

    explored: float
    is_of_one_interest: bool
    is_like_a_pin: bool
    position_exponent: float


KINDS = {
    "home": Surface(0.2, False, False, 0.4),
    "search": Surface(0.0, True, False, 0.8),
    "related": Surface(0.0, True, True, 0.6),
}
"""Results of a search are read from the top; a feed is scrolled through."""


@dataclass(frozen=True)
class Slates:
    """S sessions of one surface, L places each.

    Attributes:
        users: row of each session's user, int64 [S].
        sources: interest through which each pin is shown, int64 [L, S].
        pins: row of each pin, int32 [L, S].
        is_shown: false for a pin that stands higher up already, bool [L, S].
        utilities: u, float32 [L, S].
    """

    users: np.ndarray
    sources: np.ndarray
    pins: np.ndarray
    is_shown: np.ndarray
    utilities: np.ndarray


def draw_slates(
    world: World,
    catalogue: Catalogue,
    surface: Surface,
    num_sessions: int,
    day: float,
    generator: np.random.Generator,
) -> Slates:
    """Draws who comes to a surface on a day, and what they are shown.

    Args:
        world: the truth.
        catalogue: what can be shown that day.
        surface: how it chooses.
        num_sessions: S.
        day: days from the start of the log.
        generator: decides.
    """
    users = draw_sorted(world.users.activity, num_sessions, generator)
    weights = world.mix(users, day)
    shape = (world.config.slate, num_sessions)
    slots = _draw_slots(weights, 1 if surface.is_of_one_interest else shape[0], generator)
    sources = np.broadcast_to(world.users.interests[slots, users], shape).astype(np.int64)
    if surface.explored:
        popular = world.interests.prevalence * np.exp(world.interests.lift(day))
        places = np.nonzero(generator.random(shape, np.float32) < surface.explored)
        sources[places] = draw_rows(popular, (len(places[0]),), generator)
    if surface.is_like_a_pin:
        first, second = world.pins.interests[:, catalogue.draw(sources[0], generator)]
        sources = np.where(generator.random(shape, np.float32) < 0.5, first, second).astype(
            np.int64
        )
    pins = catalogue.draw(sources, generator)
    utilities = world.utility(users, weights, pins)
    return Slates(users, sources, pins, ~_stands_above(pins), utilities)


def draw_sorted(shares: np.ndarray, num: int, generator: np.random.Generator) -> np.ndarray:
    """Independent draws of rows of `shares[N]`, which sum to 1, in order: int64 [num]."""
    # Gaps between uniform numbers in order are exponential: nothing has to be sorted.
    gaps = np.cumsum(generator.standard_exponential(num + 1))
    return np.searchsorted(np.cumsum(shares)[:-1], gaps[:-1] / gaps[-1], side="right")


def _draw_slots(weights: np.ndarray, num: int, generator: np.random.Generator) -> np.ndarray:
    """Slots by their `weights[K, S]`, num for each session: int8 [num, S]."""
    chance = generator.random((num, weights.shape[1]), np.float32)
    slots = np.zeros(chance.shape, np.int8)
    for below in np.cumsum(weights, axis=0)[:-1]:
        slots += chance >= below
    return slots


def _stands_above(pins: np.ndarray) -> np.ndarray:
    """Which of `pins[L, S]` stand in an earlier place of the same session: bool [L, S]."""
    found = np.zeros(pins.shape, bool)
    for place in range(1, len(pins)):
        found[place] = (pins[:place] == pins[place]).any(axis=0)
    return found

"""Users: several interests each, which drift in time, and a taste."""

from dataclasses import dataclass

import numpy as np

from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.interests import Interests, draw_rows

COUNTRIES = ("US", "BR", "IN", "DE", "MX", "FR", "GB", "JP", "ID", "PL")
"""The n-th has a share of users in proportion to 1 / n."""
_COUNTRY_DEVIATION = 0.7
"""Of the logarithm of an interest's prevalence between countries: it doubles in some."""
_ACTIVITY_DEVIATION = 1.0
"""Of the logarithm of activity: a tenth of the users then make 40 % of the log."""


@dataclass(frozen=True)
class Users:
    """U users with K interests each and a taste of D numbers.

    Attributes:
        country: row of `COUNTRIES`, int64 [U].
        activity: a, share of the sessions, float64 [U].
        interests: j, int32 [K, U]; an interest may be a user's twice.
        level: lasting part x of the interests' weights, float32 [K, U].
        knots: the drifting part z at every `drift_days`, float32 [M, K, U].
        taste: tau, float32 [U, D].
    """

    country: np.ndarray
    activity: np.ndarray
    interests: np.ndarray
    level: np.ndarray
    knots: np.ndarray
    taste: np.ndarray


def draw_users(config: Simulator, interests: Interests, generator: np.random.Generator) -> Users:
    """Draws all that is true of the users."""
    num, shape = config.users, (config.interests_per_user, config.users)
    country = draw_rows(1 / np.arange(1, len(COUNTRIES) + 1), (num,), generator)
    own = np.empty(shape, np.int32)
    for row in range(len(COUNTRIES)):
        shift = _COUNTRY_DEVIATION * generator.standard_normal(config.interests)
        there = np.flatnonzero(country == row)
        weight = interests.prevalence * np.exp(shift)
        own[:, there] = draw_rows(weight, (shape[0], len(there)), generator)
    activity = np.exp(_ACTIVITY_DEVIATION * generator.standard_normal(num))
    num_knots = int(config.days / config.drift_days) + 2
    taste = generator.standard_normal((num, config.dimension), np.float32)
    return Users(
        country=country,
        activity=activity / activity.sum(),
        interests=own,
        level=generator.standard_normal(shape, np.float32),
        knots=np.float32(config.drift) * generator.standard_normal((num_knots, *shape), np.float32),
        taste=taste / np.float32(np.sqrt(config.dimension)),
    )


def mix(
    users: Users, rows: np.ndarray, day: float, drift_days: float, lift: np.ndarray
) -> np.ndarray:
    """theta, the weights of the interests of users `rows[S]` at a day: float32 [K, S].

    Each user's sum to 1.

    Args:
        users: all users.
        rows: which of them.
        day: days from the start of the log.
        drift_days: between two knots.
        lift: of the interests by trends at that day, [J].
    """
    knot, part = divmod(day / drift_days, 1)
    # A quarter of a circle from one knot to the next keeps the deviation as it is.
    turn = np.pi / 2 * part
    before, after = users.knots[int(knot)][:, rows], users.knots[int(knot) + 1][:, rows]
    logit = users.level[:, rows] + np.float32(np.cos(turn)) * before
    logit += np.float32(np.sin(turn)) * after
    logit += lift[users.interests[:, rows]]
    weight = np.exp(logit - logit.max(axis=0))
    return weight / weight.sum(axis=0)

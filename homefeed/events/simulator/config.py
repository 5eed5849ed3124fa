"""How large a simulated homefeed is, and how its users and pins behave."""

import time
from datetime import UTC, datetime

import msgspec

from homefeed.config import Config

SECONDS_A_DAY = 86_400
SURFACES = ("home", "search", "related")
MAX_SLATE = 40
"""A session of so many impressions fits into the shortest slice of a day; see `simulate`."""
SHARES = ("followed_share", "inferred_share", "interest_noise", "label_noise", "born_before")
NOT_NEGATIVE = (
    "seed",
    "interest_exponent",
    "drift",
    "trends",
    "trend_height",
    "affinity",
    "taste",
    "quality",
    "embedding_noise",
)
POSITIVE = (
    "users",
    "pins",
    "days",
    "engagements",
    "interests",
    "interests_per_user",
    "drift_days",
    "trend_days",
    "fresh_days",
    "dimension",
)


class Simulator(Config, frozen=True, tag_field="source", tag="simulator"):
    """A simulated homefeed whose truth is known, of any size; equal settings give equal tables.

    docs/simulator.md has its equations.
    """

    users: int
    pins: int
    """At least as many as interests."""
    days: int
    engagements: int
    """How many are expected; the number that comes out differs by chance."""
    seed: int = 0
    start: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    """Of the log. Its end must lie in the past."""
    interests: int = 50
    interest_exponent: float = 1.0
    """The j-th most frequent interest has a weight of `j ** -interest_exponent`."""
    interests_per_user: int = 5
    """Draws of interests for each user; one that is drawn twice counts double."""
    followed_share: float = 0.6
    """Share of a user's interests that the user follows."""
    inferred_share: float = 0.8
    """Share of a user's interests that are inferred."""
    interest_noise: float = 0.2
    """Share of users who follow an interest that is not theirs; likewise for inferred ones."""
    drift: float = 1.0
    """Deviation of the part of the interests' weights that changes in time."""
    drift_days: float = 30.0
    """After so many days that part is another one altogether."""
    trends: int = 20
    """Rises and falls of interests over the whole time."""
    trend_days: float = 5.0
    """Typical deviation of a trend's bell curve in time."""
    trend_height: float = 2.0
    """Of the highest trends: what they add to the weight's logarithm."""
    born_before: float = 0.5
    """Share of images that there are before the log begins; the others come during it."""
    copies_exponent: float = 2.5
    """An image has d pins with a probability in proportion to `d ** -copies_exponent`."""
    fresh_days: float = 14.0
    """Half-life of how much more often a pin is shown because it is new."""
    label_noise: float = 0.1
    """Share of the pins' interests that are given wrong."""
    dimension: int = 16
    """Of the content vectors and the column `embedding`."""
    embedding_noise: float = 0.3
    """Deviation of the noise that `embedding` adds to each number of a content vector."""
    affinity: float = 4.0
    """What a pin wholly of a user's interests adds to the utility."""
    taste: float = 1.0
    """Deviation that a user's taste within interests gives the utility."""
    quality: float = 0.5
    """Deviation that the quality of images gives the utility."""
    surfaces: dict[str, float] = msgspec.field(
        default_factory=lambda: {"home": 0.6, "search": 0.25, "related": 0.15}
    )
    """Share of the sessions on each surface."""
    slate: int = 10
    """Pins that a session shows."""
    engagement_rate: float = 0.25
    """Share of the impressions that users do something with."""
    impressions: bool = False
    """Whether to write all impressions too, to `impressions.parquet`."""

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.pins < self.interests:
            raise ValueError(
                f"pins={self.pins} are fewer than interests={self.interests}: "
                "every interest needs a pin"
            )
        if self.start.tzinfo is None:
            raise ValueError(f"start={self.start.isoformat()} needs a zone, as in 2024-01-01T00Z")
        if self.end_seconds > time.time():
            raise ValueError(
                f"start={self.start.isoformat()} and days={self.days} lead into the future: "
                "the log must end in the past"
            )
        if unknown := sorted(set(self.surfaces) - set(SURFACES)):
            raise ValueError(f"surfaces names {unknown}; there are {', '.join(SURFACES)}")
        if any(not share >= 0 for share in self.surfaces.values()) or not (
            abs(sum(self.surfaces.values()) - 1) < 1e-6
        ):
            raise ValueError(f"surfaces={self.surfaces} must be shares >= 0 that sum to 1")

    def _check_numbers(self) -> None:
        rules = [
            *((name, ">= 0", getattr(self, name) >= 0) for name in NOT_NEGATIVE),
            *((name, "> 0", getattr(self, name) > 0) for name in POSITIVE),
            *((name, "in [0, 1]", 0 <= getattr(self, name) <= 1) for name in SHARES),
            ("copies_exponent", ">= 1", self.copies_exponent >= 1),
            ("slate", f"in 1..{MAX_SLATE}", 1 <= self.slate <= MAX_SLATE),
            ("engagement_rate", "in (0, 1)", 0 < self.engagement_rate < 1),
        ]
        for name, rule, holds in rules:
            if not holds:
                raise ValueError(f"{name}={getattr(self, name)} must be {rule}")

    @property
    def start_seconds(self) -> int:
        """First second of the log, Unix time."""
        return int(self.start.timestamp())

    @property
    def end_seconds(self) -> int:
        """The second after the log's last."""
        return self.start_seconds + self.days * SECONDS_A_DAY

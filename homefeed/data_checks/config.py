"""Limits of the checks of data; what lies beyond an error's limit stops the run."""

from datetime import UTC, datetime

from homefeed.config import Config


class ChecksConfig(Config, frozen=True):
    """Checks of events and data set before the training.

    What is compared with the previous run is compared with the release that the channel stands for.
    """

    min_engagements: int = 100
    """With fewer engagements nothing is trained."""
    min_users: int = 10
    """With fewer users that did anything nothing is trained."""
    min_pins: int = 10
    """With fewer pins that anybody engaged with nothing is trained."""
    earliest: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    """No engagement is earlier; what is was written in another unit of time."""
    max_early_share: float = 0.001
    """Largest share of engagements before `earliest`."""
    max_null_share: float = 0.95
    """Largest share of pins or users without a value of a feature; more is a warning."""
    max_null_rise: float = 0.2
    """The most by which that share may rise since the previous run."""
    ranges: dict[str, tuple[float, float]] = {}
    """Smallest and largest value that a number may have, as `pins.price: [0, 10000]`."""
    max_duplicate_share: float = 0.005
    """Largest share of engagements that repeat another; more is a warning, as the import drops
    them."""
    volume_days: int = 7
    """The volume is the mean number of engagements a day over so many days before the last one."""
    min_volume_factor: float = 0.5
    """The least that is left of the previous run's volume."""
    max_volume_factor: float = 2.0
    """The most that may come of the previous run's volume."""
    max_mixture_change: float = 0.1
    """The most by which the share of an action or a surface may change since the previous run."""
    max_gap_factor: float = 24.0
    """The longest time without engagements, in multiples of the usual one: of the gaps between
    hours that have any, 95 % are no longer than this. More is a warning."""
    min_known_share: float = 0.5
    """Smallest share of engagements whose pin, and whose user, is in the log's own table of them,
    where it has one."""
    min_seen_pin_share: float = 0.2
    """Smallest share of the pins of validation or test that training has seen; less is a warning,
    as is a smaller share of users."""
    min_seen_user_share: float = 0.0

    def __post_init__(self) -> None:
        if self.earliest.tzinfo is None:
            raise ValueError(
                f"checks.earliest={self.earliest.isoformat()} has no time zone: write "
                f"{self.earliest.isoformat()}Z"
            )
        if self.volume_days < 1:
            raise ValueError(f"checks.volume_days={self.volume_days} must be at least 1")
        if not 0 <= self.min_volume_factor <= self.max_volume_factor:
            raise ValueError(
                f"checks.min_volume_factor={self.min_volume_factor:g} must lie between 0 and "
                f"checks.max_volume_factor={self.max_volume_factor:g}"
            )
        for name, (low, high) in self.ranges.items():
            table, _, column = name.partition(".")
            if table not in ("pins", "users") or not column or low > high:
                raise ValueError(
                    f"checks.ranges names {name!r}: [{low:g}, {high:g}]; it takes pins.COLUMN or "
                    "users.COLUMN, and the smallest value before the largest"
                )

"""Files of the data checks' artifact, what is known of the data, and what was found wrong."""

from typing import Literal

import msgspec

from homefeed.contracts import Window

DATA_CHECKS = "data_checks"
"""Kind of the artifact."""
PROFILE_FILE = "profile.json"
FINDINGS_FILE = "findings.json"
REPORT_FILE = "report.html"
DATA_PROFILE = "data_profile"
"""Of a release's manifest: the detail that holds the profile of the data it was made of."""


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column; an empty list counts as null, `low` and `high` are there for numbers."""

    null_share: float
    low: float | None = None
    high: float | None = None


class SplitProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One split of the data set; the shares are of its different users and pins."""

    num_engagements: int
    num_users: int
    num_pins: int
    seen_user_share: float
    """Users that training has seen; of training itself, 1."""
    seen_pin_share: float


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the next run is compared with, and people read."""

    window: Window
    num_engagements: int
    num_users: int
    """With an engagement, as the pins."""
    num_pins: int
    columns: dict[str, ColumnProfile]
    """By table and column: "pins.price"."""
    num_rejected: dict[str, int]
    """Rows of all tables that the import left out, by reason."""
    duplicate_share: float
    """Of the log's engagements, before the import dropped them."""
    early_share: float
    """Engagements before the earliest time that the recipe allows."""
    days: dict[str, int] = {}
    """Engagements of each day that has any, UTC; a release keeps none of them."""
    volume: float
    """Engagements a day, over the last days of the log."""
    usual_gap_hours: float
    """Of the gaps between hours with engagements 95 % are no longer."""
    largest_gap_hours: float
    largest_gap_start: int
    """Unix seconds of the last hour before the largest gap."""
    actions: dict[str, float]
    """Share of each action, and of each surface."""
    surfaces: dict[str, float]
    known_pin_share: float | None
    """Engagements whose pin is in the log's table of pins; None where it has no such table."""
    known_user_share: float | None
    splits: dict[str, SplitProfile] = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be."""

    level: Literal["error", "warning"]
    check: str
    place: str
    value: str
    limit: str
    what_to_do: str

    def __str__(self) -> str:
        return f"{self.place}: {self.value}; {self.limit}. {self.what_to_do}"

"""Where events come from and how they become the contract's tables."""

from typing import Literal

from homefeed.config import Config
from homefeed.contracts import Column
from homefeed.events.simulator.config import Simulator

ENGAGEMENT_COLUMNS = (
    Column.USER_ID,
    Column.PIN_ID,
    Column.ACTION,
    Column.SURFACE,
    Column.TIMESTAMP,
    Column.SOURCE_INTEREST,
)


class RatingRule(Config, frozen=True):
    """How explicit ratings become engagements."""

    engagement_from: float = 1.0
    """Ratings below this are no engagement and are left out."""
    save_from: float = 4.0
    """Ratings from here on are a save; the other engagements are a click."""

    def __post_init__(self) -> None:
        if self.save_from < self.engagement_from:
            raise ValueError(
                f"ratings.save_from={self.save_from} is below "
                f"ratings.engagement_from={self.engagement_from}: it must be at least that"
            )


class MovieLens(Config, frozen=True, tag_field="source", tag="movielens"):
    """A MovieLens data set, fetched from a package and checked by sha256."""

    dataset: Literal["ml-100k", "ml-1m"]
    ratings: RatingRule = RatingRule()


class Tables(Config, frozen=True, tag_field="source", tag="tables"):
    """A team's own log: files in the contract's columns, or mapped to them here.

    A path may be a glob, or a URL of any file system that fsspec knows.
    """

    format: Literal["parquet", "csv"]
    engagements: str
    """Path or glob of the engagement files."""
    pins: str | None = None
    """Path or glob of the pins; pins that only the engagements name are added."""
    users: str | None = None
    """Path or glob of the users; users that only the engagements name are added."""
    signatures: str | None = None
    """Path or glob of the pairs image_signature, canonical_signature; without it every image is
    its own canonical one."""
    blocked: str | None = None
    """Path or glob of the ids of pins that must not be served, in a column pin_id. What shares an
    item with one is not served either."""
    engagement_columns: dict[str, str] = {}
    """Contract column -> the log's own column; a column that is absent here keeps its name."""
    pin_columns: dict[str, str] = {}
    user_columns: dict[str, str] = {}
    signature_columns: dict[str, str] = {}
    timestamp: Literal["seconds", "milliseconds", "microseconds", "text"] = "seconds"
    """What the log's timestamps are; "text" is ISO 8601, UTC where no zone is given. A Parquet
    column of a timestamp type needs no setting."""
    delimiter: str = ","
    """What parts the cells of a CSV line."""
    list_columns: tuple[str, ...] = ()
    """Further columns of pins and users whose text is a list; the contract's lists always are."""
    list_separator: str = "|"
    """How a text cell separates the values of a list column."""
    default_action: str = "click"
    """The action of rows in a log without an action column."""
    default_surface: str = "home"

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.engagement_columns) - set(ENGAGEMENT_COLUMNS)):
            raise ValueError(
                f"engagement_columns maps {unknown}, which are no columns of engagements; "
                f"those are {', '.join(ENGAGEMENT_COLUMNS)}"
            )


class EventsConfig(Config, frozen=True):
    """The import stage."""

    input: MovieLens | Tables | Simulator
    max_reject_share: float = 0.01
    """The run stops when more than this share of a table's rows is bad."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_reject_share <= 1:
            raise ValueError(f"max_reject_share={self.max_reject_share} must lie in [0, 1]")

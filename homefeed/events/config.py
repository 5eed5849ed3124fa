"""Where events come from and how they become the contract's tables."""

from typing import Literal

from homefeed.config import Config


class RatingRule(Config):
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


class MovieLens(Config, tag_field="source", tag="movielens"):
    """A MovieLens data set, fetched from a package and checked by sha256."""

    dataset: Literal["ml-100k", "ml-1m"]
    ratings: RatingRule = RatingRule()


class Tables(Config, tag_field="source", tag="tables"):
    """A team's own log: files in the contract's columns, or mapped to them here."""

    format: Literal["parquet", "csv"]
    engagements: str
    """Path or glob of the engagement files."""
    pins: str | None = None
    """Path or glob of the pins; without it pins are the ids seen in the engagements."""
    users: str | None = None
    """Path or glob of the users; without it users are the ids seen in the engagements."""
    engagement_columns: dict[str, str] = {}
    """Contract column -> the log's own column; a column that is absent here keeps its name."""
    pin_columns: dict[str, str] = {}
    user_columns: dict[str, str] = {}
    timestamp: Literal["seconds", "milliseconds", "microseconds", "text"] = "seconds"
    """What the log's timestamps are; "text" is ISO 8601, UTC where no zone is given. A Parquet
    column of a timestamp type needs no setting."""
    list_separator: str = "|"
    """How a CSV cell separates the values of a list column."""
    default_action: str = "click"
    """The action of rows in a log without an action column."""
    default_surface: str = "home"


class EventsConfig(Config):
    """The import stage."""

    input: MovieLens | Tables
    max_reject_share: float = 0.01
    """The run stops when more than this share of engagement rows is bad."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_reject_share <= 1:
            raise ValueError(f"max_reject_share={self.max_reject_share} must lie in [0, 1]")

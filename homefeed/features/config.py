"""Which columns are features, of which kind, for which tower: data of the recipe, not code."""

from collections.abc import Sequence
from typing import Literal

from homefeed.config import Config
from homefeed.contracts import Granularity

NUMERIC = "numeric"
HISTORY = "history"
HISTORY_ACTIONS = "history_actions"
HISTORY_TIMES = "history_times"
HISTORY_AGES = "history_ages"
CONDITION = "condition"
OWN_TENSORS = {
    "user": (NUMERIC, HISTORY, HISTORY_ACTIONS, HISTORY_AGES, CONDITION),
    "pin": (NUMERIC,),
}
"""Tensors that a tower is fed beside those of its features, which bear their columns' names."""


class Categorical(Config, frozen=True, tag_field="kind", tag="categorical"):
    """A column of strings, or of lists of strings, looked up in a fitted vocabulary."""

    column: str
    values: int = 1
    """Most values a row holds; a list column is cut to its first `values`."""
    min_count: int = 1
    """Values seen in fewer rows share the out-of-vocabulary row."""

    def __post_init__(self) -> None:
        for name in ("values", "min_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} of {self.column!r} must be >= 1")


class Numeric(Config, frozen=True, tag_field="kind", tag="numeric"):
    """A column of numbers, standardised with the training window's mean and deviation."""

    column: str
    transform: Literal["identity", "log1p"] = "identity"
    """Applied before standardising; log1p for counts."""


class Embedding(Config, frozen=True, tag_field="kind", tag="embedding"):
    """A column of equal-length lists of floats: an embedding from elsewhere."""

    column: str
    dimension: int

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise ValueError(f"dimension={self.dimension} of {self.column!r} must be >= 1")


Feature = Categorical | Numeric | Embedding


class HistoryConfig(Config, frozen=True):
    """The user's engagement history as the towers see it, most recent first."""

    length: int = 100
    """Most recent engagements kept."""
    delay_hours: float = 0.0
    """An example's history leaves out engagements younger than this. Set it to the usual age of
    what serving knows: a release's snapshot of users is as old as the release."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"history.length={self.length} must be >= 1")
        if self.delay_hours < 0:
            raise ValueError(f"history.delay_hours={self.delay_hours:g} must be >= 0")


def _doubled(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


class StatisticsConfig(Config, frozen=True):
    """Time-decayed engagement sums of a pin, fitted the same way for training and the corpus.

    Each half-life gives a column `engagements_{half_life}d` = `sum(w_action * 2^(-age/half_life))`
    over the events strictly before the time it is taken at. `half_life_days: 0` stands for no
    decay (`engagements_all`).
    """

    half_life_days: tuple[float, ...] = (1.0, 7.0, 30.0, 0.0)
    action_weights: dict[str, float] = {}
    """Weight of each action; actions that are absent here weigh 1."""

    def __post_init__(self) -> None:
        if any(h < 0 for h in self.half_life_days):
            raise ValueError(f"half_life_days={self.half_life_days}: every one must be >= 0")
        if doubled := _doubled(self.columns):
            raise ValueError(
                f"half_life_days={self.half_life_days} makes {doubled} more than once: give each "
                "half-life once"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the statistics' columns, in the order of `half_life_days`."""
        return tuple(f"engagements_{h:g}d" if h else "engagements_all" for h in self.half_life_days)


class FeaturesConfig(Config, frozen=True):
    """Features of both towers; the statistics' columns are numeric pin features by themselves."""

    granularity: Granularity = Granularity.CANONICAL_SIGNATURE
    """What is one item: pins that share this have one history, one row of statistics and one
    place in the corpus, those of the pin among them that was made first. Data set, corpus and
    serving take it from here."""
    user: tuple[Feature, ...] = ()
    pin: tuple[Feature, ...] = ()
    history: HistoryConfig = HistoryConfig()
    statistics: StatisticsConfig = StatisticsConfig()

    def __post_init__(self) -> None:
        for side in ("user", "pin"):
            names = [feature.column for feature in getattr(self, side)]
            if doubled := _doubled(names):
                raise ValueError(f"features.{side} names {doubled} more than once")
            if taken := sorted(set(names) & set(OWN_TENSORS[side])):
                raise ValueError(
                    f"features.{side} names {taken}, which the towers need for inputs of their "
                    f"own: rename the column in events.input.{side}_columns"
                )
        users = {each.column: each for each in self.user if isinstance(each, Categorical)}
        for pin in self.pin:
            user = users.get(pin.column)
            if user and isinstance(pin, Categorical) and user.min_count != pin.min_count:
                raise ValueError(
                    f"{pin.column!r} has min_count={user.min_count} in features.user and "
                    f"min_count={pin.min_count} in features.pin: both sides share one vocabulary, "
                    "so give both the same"
                )

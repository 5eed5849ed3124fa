"""What ID embeddings are pre-trained on, and how."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from homefeed.config import Config, to_yaml
from homefeed.contracts import Granularity, Window
from homefeed.events.config import EventsConfig

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""In YAML `2000-11-01T00:00:00Z`, without quotation marks."""

DIMENSION_STEP = 4
"""torchrec's kernels move four floats at once."""


class TimeWindow(Config, frozen=True):
    """The span of time `[start, end)` that the tables learn from."""

    start: Instant
    end: Instant

    def __post_init__(self) -> None:
        if self.seconds.start >= self.seconds.end:
            raise ValueError(
                f"window.start={self.start.isoformat()} must lie before "
                f"window.end={self.end.isoformat()}, by a second at least"
            )

    @property
    def seconds(self) -> Window:
        """The same in Unix seconds."""
        return Window(int(self.start.timestamp()), int(self.end.timestamp()))


class Source(Config, frozen=True):
    """One log among those that the tables learn from."""

    events: EventsConfig
    user_namespace: str = ""
    """Where the log's user ids are not the ids of the same people elsewhere, they become
    `<user_namespace>:<id>` in the table. Pin ids are one namespace over all sources."""
    exclude_actions: tuple[str, ...] = ("hide",)
    """Actions that are no positive."""


class PretrainingConfig(Config, frozen=True):
    """The tables' shape and the training loop."""

    dimension: int = 64
    """Width of both tables."""
    batch_size: int = 4096
    """Positives a batch, over all processes. The others' pins are negatives, and as many more are
    drawn uniformly from the pins."""
    max_epochs: int = 5
    """The epoch that validates best says for how many the tables are then trained on the whole
    window."""
    validation_share: float = 0.05
    """Share of the positives, the last in time, that validation holds out."""
    learning_rate: float = 0.05
    """Of row-wise Adagrad."""
    temperature: float = 0.1
    """Divides the cosines before the softmax."""
    sharding: Literal["row_wise", "table_row_wise"] = "row_wise"
    """row_wise: each table's rows over all processes; table_row_wise: over those of one node."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.dimension <= 0 or self.dimension % DIMENSION_STEP:
            raise ValueError(
                f"pretraining.dimension={self.dimension} must be a positive multiple of "
                f"{DIMENSION_STEP}"
            )
        if self.batch_size < 2:
            raise ValueError(
                f"pretraining.batch_size={self.batch_size} must be at least 2: the other rows of "
                "the batch are negatives"
            )
        for name in ("max_epochs", "learning_rate", "temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"pretraining.{name}={getattr(self, name)} must be positive")
        if not 0 < self.validation_share < 1:
            raise ValueError(
                f"pretraining.validation_share={self.validation_share} must lie in (0, 1)"
            )


class IdRecipe(Config, frozen=True, kw_only=True):
    """Everything a run of `pretrain_ids` can be told."""

    name: str
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    window: TimeWindow
    sources: Annotated[tuple[Source, ...], msgspec.Meta(min_length=1)]
    granularity: Granularity = Granularity.CANONICAL_SIGNATURE
    """What makes pins of a source one, which get one row: as in the features of the towers."""
    pretraining: PretrainingConfig = PretrainingConfig()

    def __post_init__(self) -> None:
        # Its events artifact says which source it is of by the section that it was imported with.
        if len({to_yaml(source.events) for source in self.sources}) < len(self.sources):
            raise ValueError("two sources have the same events section: leave one of them out")

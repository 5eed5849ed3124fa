"""How events are cut into training, validation and test."""

from typing import Literal

from homefeed.config import Config


class DatasetConfig(Config, frozen=True):
    """The data set stage."""

    split: Literal["time", "leave_last_out", "random"] = "time"
    """time: by timestamp over all users; leave_last_out: each user's last event is test, the one
    before validation; random: each user's events 8:1:1 by chance. Users with too few events for
    all three keep training first, then test."""
    train_share: float = 0.8
    """Share of events before the validation window; for `split: time`."""
    validation_share: float = 0.1
    """Share of events in the validation window; the rest is test. For `split: time`."""
    exclude_actions: tuple[str, ...] = ("hide",)
    """Actions that are no positive example and no history."""

    def __post_init__(self) -> None:
        if not (
            0 < self.train_share
            and 0 < self.validation_share
            and self.train_share + self.validation_share < 1
        ):
            raise ValueError(
                f"train_share={self.train_share} and validation_share={self.validation_share} "
                "must be positive and leave a share for test"
            )

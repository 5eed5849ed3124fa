"""How pre-trained ID embeddings are used by the towers; `homefeed.towers.ids` is the code."""

from typing import Literal

from homefeed.config import Config
from homefeed.contracts import Column
from homefeed.features.config import HISTORY

USERS, PINS = "users", "pins"


class IdsConfig(Config, frozen=True):
    """How the towers use the latest ID embeddings that end before their training window.

    `pins` is a field of the pin tower, and the mean over the history one of the user tower; `users`
    is a field of the user tower, and needs the user feature `user_id`.
    """

    tables: tuple[Literal["users", "pins"], ...] = (PINS,)
    training: Literal["frozen", "fine_tuned"] = "frozen"
    """frozen: the vectors stay as they are; fine_tuned: they are trained on."""
    dropout: float = 0.5
    """Of the looked-up vectors, in training."""
    int8: bool = False
    """Whether exported towers hold the vectors in 8 bits a number, a quarter of the memory."""
    replaces: bool = False
    """Whether the features `pin_id` and `user_id` have no trained vectors beside these."""

    def __post_init__(self) -> None:
        if not self.tables or len(set(self.tables)) < len(self.tables):
            raise ValueError(
                f"towers.ids.tables={list(self.tables)} must name users, pins, or both, each once"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"towers.ids.dropout={self.dropout} must lie in [0, 1)")


def id_fields(tables: tuple[str, ...], is_user: bool) -> dict[str, tuple[str, str]]:
    """Fields of one tower by name: which table, and the feature whose rows are looked up there.

    Args:
        tables: that are used.
        is_user: whether it is the user tower.
    """
    fields = {}
    if is_user and USERS in tables:
        fields["ids.user"] = (USERS, Column.USER_ID.value)
    if PINS in tables:
        fields["ids.pins"] = (PINS, HISTORY if is_user else Column.PIN_ID.value)
    return fields

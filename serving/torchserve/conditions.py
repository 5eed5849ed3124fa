"""Which interests a user's pins are asked for, beside those for no interest in particular."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from homefeed.contracts import Column
from homefeed.features.config import Categorical
from serving.torchserve.protocol import MAX_CONDITIONS, Request

LISTS = tuple(
    Categorical(column=column, values=MAX_CONDITIONS)
    for column in (Column.FOLLOWED_INTERESTS, Column.INFERRED_INTERESTS)
)
"""Where conditions come from, the first ones first; what a tower is fed may lack them."""


def choose_conditions(
    request: Request, known: Mapping[str, Any], interests: Collection[str], most: int
) -> tuple[str, ...]:
    """The request's own conditions, or those that follow from its filter or from its user.

    Args:
        request: its `conditions` are taken as they are, unless they are None.
        known: of the user, by column; those of `LISTS` are read.
        interests: those that pins of the index have.
        most: conditions where the request names none; 0 for a tower that knows none.

    Returns:
        Names of interests, each once.
    """
    if request.conditions is not None:
        return tuple(dict.fromkeys(request.conditions))
    wanted = request.interests or [
        name for each in LISTS for name in _names(known.get(each.column))
    ]
    return tuple(islice(dict.fromkeys(name for name in wanted if name in interests), most))


def _names(value: Any) -> Collection[str]:
    """What a request may give for such a column: names, one alone, or None for unknown."""
    return (value,) if isinstance(value, str) else value or ()

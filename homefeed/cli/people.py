"""Users of a data set that a demonstration can show: what they did, and what they did next."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.layout import SPLIT, TEST
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE

READABLE_HISTORY = 30
"""Engagements of a user whose taste shows and fits on a screen."""
NUM_RECENT = 5


class Person(NamedTuple):
    """A user as of serving time, and what the user did after it."""

    user_id: str
    recent: Sequence[str]
    """Pins of the last few engagements before the test split, most recent first."""
    later: frozenset[str]
    """Pins of the user's test events."""


class Crowd(NamedTuple):
    """The warm users of a data set: those with events both before and in the test split."""

    user_ids: Sequence[str]
    """All of them, sorted."""
    shown: Sequence[Person]


def read_crowd(dataset: Path, num_shown: int, scratch: Path) -> Crowd:
    """Reads the warm users and picks some to show.

    Args:
        dataset: the dataset artifact.
        num_shown: how many to pick: those whose number of engagements is nearest to
            `READABLE_HISTORY`, by id where it is equally near.
        scratch: a path beside which tables may spill to disk.
    """
    with open_engine(scratch) as engine:
        engagements = engine.read(dataset / ENGAGEMENTS_FILE)
        counts = engagements.group_by(Column.USER_ID).agg(
            num_known=(_[SPLIT] != TEST).sum(), num_later=(_[SPLIT] == TEST).sum()
        )
        warm = counts.filter(_.num_known > 0, _.num_later > 0).order_by(Column.USER_ID).to_pyarrow()
        user_ids, num_known = (warm[name].to_pylist() for name in (Column.USER_ID, "num_known"))
        nearest = sorted(
            range(len(user_ids)), key=lambda place: abs(num_known[place] - READABLE_HISTORY)
        )
        shown = [_read_person(engagements, user_ids[place]) for place in nearest[:num_shown]]
    return Crowd(user_ids, shown)


def _read_person(engagements: ir.Table, user_id: str) -> Person:
    own = engagements.filter(_[Column.USER_ID] == user_id)
    latest_first = own.order_by(_[Column.TIMESTAMP].desc(), _[Column.EVENT_ID].desc())
    rows = latest_first.select(Column.PIN_ID, SPLIT).to_pyarrow().to_pylist()
    known = [row[Column.PIN_ID] for row in rows if row[SPLIT] != TEST]
    later = frozenset(row[Column.PIN_ID] for row in rows if row[SPLIT] == TEST)
    return Person(user_id, tuple(dict.fromkeys(known))[:NUM_RECENT], later)

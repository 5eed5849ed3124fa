"""Impressions as columns, and as the tables that are written."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from homefeed.contracts import Column
from homefeed.events.simulator.choice import CHOICES
from homefeed.events.simulator.slates import KINDS

POSITION = "position"
CHOICE = "choice"
_NAMES = pa.dictionary(pa.int32(), pa.string())
ENGAGEMENTS = pa.schema(
    [
        (Column.USER_ID, pa.int64()),
        (Column.PIN_ID, pa.int64()),
        (Column.ACTION, _NAMES),
        (Column.SURFACE, _NAMES),
        (Column.TIMESTAMP, pa.int64()),
        (Column.SOURCE_INTEREST, _NAMES),
    ]
)
IMPRESSIONS = pa.schema(
    [
        (Column.USER_ID, pa.string()),
        (Column.PIN_ID, pa.string()),
        (Column.SURFACE, _NAMES),
        (POSITION, pa.int32()),
        (CHOICE, _NAMES),
        (Column.TIMESTAMP, pa.int64()),
        (Column.SOURCE_INTEREST, _NAMES),
    ]
)
"""Of `impressions.parquet`, which lies beside the contract's tables: `position` counts from 1,
`choice` is an action or "nothing"."""


@dataclass(frozen=True)
class Rows:
    """N impressions.

    Attributes:
        users: rows of users, int64 [N].
        pins: rows of pins, int32 [N].
        surfaces: rows of `KINDS`, int8 [N].
        sources: interests through which they were shown, int64 [N].
        positions: in the session, from 1, int32 [N].
        choices: rows of `CHOICES`, int8 [N].
        times: Unix seconds, int64 [N].
    """

    users: np.ndarray
    pins: np.ndarray
    surfaces: np.ndarray
    sources: np.ndarray
    positions: np.ndarray
    choices: np.ndarray
    times: np.ndarray

    def take(self, places: np.ndarray) -> "Rows":
        """The rows at `places[M]`."""
        return Rows(**{each.name: getattr(self, each.name)[places] for each in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence["Rows"]) -> "Rows":
        """The rows of all parts, one part after the other."""
        columns = {name.name: [getattr(part, name.name) for part in parts] for name in fields(cls)}
        return cls(**{name: np.concatenate(column) for name, column in columns.items()})


def engagement_table(rows: Rows, interests: Sequence[str]) -> pa.Table:
    """Engagements by the contract's columns, with numbers as ids.

    Args:
        rows: impressions that were engaged with.
        interests: names of the interests.
    """
    columns = [
        pa.array(rows.users),
        pa.array(rows.pins.astype(np.int64)),
        _named(rows.choices, CHOICES),
        _named(rows.surfaces, list(KINDS)),
        pa.array(rows.times),
        _named(rows.sources, interests),
    ]
    return pa.table(columns, schema=ENGAGEMENTS)


def impression_table(rows: Rows, interests: Sequence[str]) -> pa.Table:
    """Impressions as they lie beside the contract's tables, with ids as there."""
    columns = [
        pa.array(rows.users).cast(pa.string()),
        pa.array(rows.pins).cast(pa.string()),
        _named(rows.surfaces, list(KINDS)),
        pa.array(rows.positions),
        _named(rows.choices, CHOICES),
        pa.array(rows.times),
        _named(rows.sources, interests),
    ]
    return pa.table(columns, schema=IMPRESSIONS)


def _named(rows: np.ndarray, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(rows.astype(np.int32), pa.array(names))

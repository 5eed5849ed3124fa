"""What people know pins by, out of the data set of the last run."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from homefeed.contracts import Column
from homefeed.events.layout import PINS_FILE, USERS_FILE


class PinText(NamedTuple):
    """A pin as people read it."""

    title: str
    interests: tuple[str, ...]


def read_pin_texts(dataset: Path, pin_ids: Iterable[str]) -> Mapping[str, PinText]:
    """Title and interests of those of the pins that the data set has."""
    columns = [Column.PIN_ID, Column.TITLE, Column.INTERESTS]
    wanted = [(Column.PIN_ID, "in", list(pin_ids))]
    table = pq.read_table(dataset / PINS_FILE, columns=columns, filters=wanted)
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    return {pin_id: PinText(title, tuple(interests)) for pin_id, title, interests in rows}


def first_user(dataset: Path) -> str:
    """Id of the data set's first user."""
    rows = pq.ParquetFile(dataset / USERS_FILE).iter_batches(1, columns=[Column.USER_ID])
    return next(rows)[Column.USER_ID][0].as_py()


def most_common_interest(dataset: Path, among: Collection[str]) -> str | None:
    """The interest that most pins have, of those given; None where no pin has one."""
    lists = pq.read_table(dataset / PINS_FILE, columns=[Column.INTERESTS])[Column.INTERESTS]
    counts = Counter(name for own in lists.to_pylist() for name in own if name in among)
    return max(counts, key=lambda name: (counts[name], name), default=None)

"""Parquet files that are each in order of time, read as one table in order of time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from homefeed.contracts import Column

KEY = (Column.TIMESTAMP.value, Column.EVENT_ID.value)
"""What rows are ordered by; no two have the same."""


class Place(NamedTuple):
    """Where a file is read on: a row group, and how many of its rows were taken already."""

    row_group: int = 0
    num_taken: int = 0


class Merge:
    """The rows of some files in order of `KEY`; a row group of each is held in memory."""

    def __init__(
        self,
        paths: Sequence[Path],
        columns: Sequence[str],
        condition: pc.Expression | None = None,
        places: Sequence[Place] | None = None,
    ) -> None:
        """Opens the files.

        Args:
            paths: Parquet files, each ordered by `KEY`.
            columns: what is read, beside `KEY`.
            condition: of these columns; rows are left out that it is not true of. None for none.
            places: where each file is read on, as another merge with this condition left it; by
                default all are read from their beginning.
        """
        starts = places or [Place()] * len(paths)
        self._files = [
            _File(path, [*KEY, *columns], condition, start)
            for path, start in zip(paths, starts, strict=True)
        ]

    @property
    def places(self) -> list[Place]:
        """Where each file is read on."""
        return [file.place for file in self._files]

    def read(self, num_rows: int) -> Iterator[pa.Table]:
        """The next so many rows, in tables of a few row groups at most; fewer at the end."""
        while num_rows and (files := [file for file in self._files if file.fill()]):
            # Up to the first end of a row group, all rows are in memory.
            last = min(file.last_key for file in files)
            parts = [file.up_to(last) for file in files]
            owners = np.repeat(np.arange(len(files)), [part.num_rows for part in parts])
            table = pa.concat_tables(parts)
            order = np.lexsort([table[name].to_numpy() for name in reversed(KEY)])[:num_rows]
            for file, count in zip(
                files, np.bincount(owners[order], minlength=len(files)).tolist(), strict=True
            ):
                file.take(count)
            num_rows -= len(order)
            yield table.take(order)


class _File:
    """One of the files: a row group of it, and what is left of that."""

    def __init__(
        self, path: Path, columns: list[str], condition: pc.Expression | None, start: Place
    ) -> None:
        self._path, self._columns, self._condition = path, columns, condition
        self._metadata = pq.read_metadata(path)
        self._rows: pa.Table | None = None
        self.place = start

    def fill(self) -> bool:
        """Reads the next row group where this one is used up; whether there is any row left."""
        while self._rows is None or self.place.num_taken == self._rows.num_rows:
            if self._rows is not None:
                self._rows, self.place = None, Place(self.place.row_group + 1)
            if self.place.row_group == self._metadata.num_row_groups:
                return False
            self._rows = self._read()
        return True

    def _read(self) -> pa.Table:
        # Opened for each row group: there may be more parts than a process may hold open.
        with pq.ParquetFile(self._path, metadata=self._metadata) as file:
            rows = file.read_row_group(self.place.row_group, self._columns).combine_chunks()
        return rows if self._condition is None else rows.filter(self._condition).combine_chunks()

    @property
    def last_key(self) -> tuple[int, int]:
        """Key of the last row of the row group."""
        assert self._rows is not None
        time, event = (self._rows[name][-1].as_py() for name in KEY)
        return time, event

    def up_to(self, key: tuple[int, int]) -> pa.Table:
        """The rows that are left of the row group and come no later than a key."""
        assert self._rows is not None
        times, events = (self._rows[name].to_numpy() for name in KEY)
        low, high = np.searchsorted(times, key[0]), np.searchsorted(times, key[0], side="right")
        stop = low + np.searchsorted(events[low:high], key[1], side="right")
        start = self.place.num_taken
        return self._rows.slice(start, stop - start)

    def take(self, num_rows: int) -> None:
        """Goes on by some rows of the row group."""
        self.place = Place(self.place.row_group, self.place.num_taken + num_rows)

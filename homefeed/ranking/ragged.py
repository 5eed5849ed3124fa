"""Rows of unequal length in two flat arrays, as in a CSR matrix without values."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """N rows: row i is `values[offsets[i]:offsets[i + 1]]`; offsets is int64 [N + 1]."""

    offsets: np.ndarray
    values: np.ndarray

    @classmethod
    def from_pairs(cls, rows: np.ndarray, values: np.ndarray, num_rows: int) -> "Ragged":
        """Of pairs that are sorted by row."""
        return cls(np.searchsorted(rows, np.arange(num_rows + 1)), values)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[np.ndarray]:
        for start, stop in pairwise(self.offsets.tolist()):
            yield self.values[start:stop]

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each row, int64 [N]."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> "Ragged":
        """The given rows, in the order given."""
        lengths = self.lengths[rows]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Ragged(offsets, self.values[places + np.arange(offsets[-1])])

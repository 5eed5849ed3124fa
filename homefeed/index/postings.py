"""Which rows carry an interest: exact posting lists, and the unions that filters ask for."""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec
import numpy as np

from homefeed.index.layout import (
    INTERESTS,
    POSTING_OFFSETS,
    POSTINGS,
    PRIMARY_OFFSETS,
    load_array,
    save_array,
)

Block = range | np.ndarray
"""Rows of the index: a contiguous run, or a sorted int32 array [num_rows]."""

Codes = tuple[int, ...]
"""Codes of a filter's interests, sorted; empty stands for no filter."""

MAX_CACHED_FILTERS = 128
"""Unions kept: users' followed interests repeat, and a large union costs milliseconds to make."""
NUM_NAMES_IN_ERROR = 10


class Subset:
    """The rows that pass a filter: disjoint blocks of an index of `num_pins` rows."""

    def __init__(self, blocks: Sequence[Block], num_pins: int) -> None:
        self.blocks = tuple(block for block in blocks if len(block))
        self.num_rows = sum(len(block) for block in self.blocks)
        self._num_pins = num_pins

    @property
    def is_whole(self) -> bool:
        """Whether every row passes."""
        return self.num_rows == self._num_pins

    @cached_property
    def bitmap(self) -> np.ndarray:
        """Bit `row % 8` of byte `row // 8` says if a row passes: uint8 [ceil(num_pins / 8)]."""
        return np.packbits(self.mask(), bitorder="little")

    def mask(self) -> np.ndarray:
        """Whether each row passes: bool [num_pins]."""
        mask = np.zeros(self._num_pins, bool)
        for block in self.blocks:
            mask[slice(block.start, block.stop) if isinstance(block, range) else block] = True
        return mask


class Postings:
    """The posting lists of an index; safe to use from several threads."""

    def __init__(
        self,
        interests: Sequence[str],
        primary_offsets: np.ndarray,
        posting_offsets: np.ndarray,
        postings: np.ndarray,
        num_pins: int,
    ) -> None:
        self.interests = tuple(interests)
        self._codes = {name: code for code, name in enumerate(self.interests)}
        self._primary_offsets = primary_offsets.tolist()
        self._posting_offsets = posting_offsets.tolist()
        self._postings = postings
        self._num_pins = num_pins
        self.subset = lru_cache(MAX_CACHED_FILTERS)(self._subset)
        """Rows that have any interest of some `Codes`, as `Subset`; cached."""

    def codes(self, interests: Iterable[str], field: str = "interests") -> Codes:
        """Codes of interests, sorted, each once.

        Args:
            interests: names.
            field: where they are named, for the error.

        Raises:
            ValueError: no pin of the index has one of them; names it and some that there are.
        """
        names = set(interests)
        if not names:
            return ()
        if unknown := sorted(names - self._codes.keys()):
            some = ", ".join(self.interests[:NUM_NAMES_IN_ERROR]) or "none"
            more = len(self.interests) - NUM_NAMES_IN_ERROR
            raise ValueError(
                f"{field}: no pin has {unknown[0]!r}; there are {some}"
                + (f" and {more} more" if more > 0 else "")
            )
        return tuple(sorted(self._codes[name] for name in names))

    def _subset(self, codes: Codes) -> Subset:
        if not codes:
            return Subset((range(self._num_pins),), self._num_pins)
        runs = [range(*self._primary_offsets[code : code + 2]) for code in codes]
        lists = [self._postings[slice(*self._posting_offsets[code : code + 2])] for code in codes]
        if len(codes) == 1:
            return Subset((*runs, *lists), self._num_pins)
        further = Subset(lists, self._num_pins).mask()
        for run in runs:
            further[run.start : run.stop] = False
        return Subset((*runs, np.flatnonzero(further).astype(np.int32)), self._num_pins)

    @classmethod
    def load(cls, folder: Path, num_pins: int) -> "Postings":
        """Maps what `save_postings` wrote."""
        return cls(
            read_interests(folder),
            load_array(folder, PRIMARY_OFFSETS),
            load_array(folder, POSTING_OFFSETS),
            load_array(folder, POSTINGS),
            num_pins,
        )


def read_interests(folder: Path) -> tuple[str, ...]:
    """Names of all interests that an index can filter by, sorted."""
    return msgspec.json.decode((folder / INTERESTS).read_bytes(), type=tuple[str, ...])


def primary_order(interests: Sequence[Sequence[str]]) -> np.ndarray:
    """The order of an index's rows: int64 [num_pins], positions in the corpus."""
    codes = {name: code for code, name in enumerate(_names(interests))}
    primary = [codes[names[0]] if names else len(codes) for names in interests]
    return np.argsort(np.array(primary, np.int64), kind="stable")


def save_postings(folder: Path, interests: Sequence[Sequence[str]]) -> int:
    """Writes the posting lists of rows that are in `primary_order` already.

    Args:
        folder: the index.
        interests: each row's interests, the primary one first.

    Returns:
        The number of interests.
    """
    names = _names(interests)
    codes = {name: code for code, name in enumerate(names)}
    num_primary = np.zeros(len(names) + 1, np.int64)
    further: list[list[int]] = [[] for _ in names]
    for row, own in enumerate(interests):
        if own:
            num_primary[codes[own[0]] + 1] += 1
        for name in set(own[1:]) - set(own[:1]):
            further[codes[name]].append(row)
    (folder / INTERESTS).write_bytes(msgspec.json.encode(names))
    save_array(folder, PRIMARY_OFFSETS, np.cumsum(num_primary))
    save_array(folder, POSTING_OFFSETS, np.cumsum([0, *map(len, further)]))
    save_array(folder, POSTINGS, np.array([row for rows in further for row in rows], np.int32))
    return len(names)


def _names(interests: Sequence[Sequence[str]]) -> list[str]:
    return sorted({name for own in interests for name in own})

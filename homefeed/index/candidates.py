"""Candidates under a filter: how each filter is searched, and how far.

A filter's rows are scanned, or left to the approximate index with a bitmap (`homefeed.index.plan`
says which); where that has too few to choose from the rows are scanned after all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from homefeed.index.approximate import ApproximateIndex, Effort
from homefeed.index.exact import top_rows
from homefeed.index.merge import Candidates
from homefeed.index.postings import Subset

DEEPEN_FACTOR = 4
"""How much further a scan looks when near-duplicates used up its candidates."""


class Strategy(StrEnum):
    """How the vectors of a query that share a filter were searched."""

    ALL = "all"  # exact, over the whole corpus
    POSTINGS = "postings"  # exact, over the posting lists of the filter
    ANN = "ann"  # approximate
    FALLBACK = "fallback"  # exact, because the approximate search found too few


@dataclass(eq=False)
class Part:
    """The vectors of one query that share a filter, and what was found for them so far.

    `rows` are their places among the query's vectors, `vectors` float32 [len(rows), D];
    `num_wanted` is the query's k, `depth` the candidates that each vector needs to be left with k.
    """

    rows: Sequence[int]
    vectors: np.ndarray
    num_wanted: int
    depth: int
    strategy: Strategy = Strategy.ANN
    candidates: Sequence[Candidates] = ()
    may_have_more: bool = True
    """Whether a further scan may find pins that `candidates` lack."""


class CandidateSearch:
    """Finds the candidates of parts that have one filter in a pass for all of them."""

    def __init__(self, vectors: np.ndarray, approximate: ApproximateIndex | None) -> None:
        """Takes the index.

        Args:
            vectors: float32 [num_pins, D].
            approximate: None where all is searched exactly.
        """
        self._vectors = vectors
        self._approximate = approximate

    def begin(self, subset: Subset, parts: Sequence[Part], effort: Effort | None) -> None:
        """Finds the first candidates of parts whose filter passes `subset`.

        Args:
            subset: the rows that pass.
            parts: whose candidates are set.
            effort: how far to search for them; None to scan all rows.
        """
        if self._approximate is None or effort is None:
            exact = Strategy.ALL if subset.is_whole else Strategy.POSTINGS
            self._scan(subset, parts, exact)
            return
        found = self._approximate.search(
            _stack(parts),
            [part.num_wanted for part in parts for _ in part.rows],
            [part.depth - part.num_wanted for part in parts for _ in part.rows],
            effort,
            None if subset.is_whole else subset.bitmap,
        )
        _hand_out(found, parts)
        if lacking := [part for part in parts if not all(len(rows) for rows, _ in part.candidates)]:
            self._scan(subset, lacking, Strategy.FALLBACK)

    def go_on(self, subset: Subset, parts: Sequence[Part]) -> None:
        """Finds more candidates of parts that had too few: by a scan, or by a deeper one."""
        for part in parts:
            if part.strategy is not Strategy.ANN:
                part.depth *= DEEPEN_FACTOR
        self._scan(subset, parts, Strategy.FALLBACK)

    def _scan(self, subset: Subset, parts: Sequence[Part], strategy: Strategy) -> None:
        """Scans all that passes; a part that was scanned before stays with how it was."""
        depth = max(part.depth for part in parts)
        rows, scores = top_rows(self._vectors, subset.blocks, _stack(parts), depth)
        _hand_out(list(zip(rows, scores, strict=True)), parts)
        for part in parts:
            part.depth = depth
            part.may_have_more = depth < subset.num_rows
            if part.strategy is Strategy.ANN:
                part.strategy = strategy


def _stack(parts: Sequence[Part]) -> np.ndarray:
    """The vectors of all parts, float32 [Q, D]."""
    return np.concatenate([part.vectors for part in parts])


def _hand_out(found: Sequence[Candidates], parts: Sequence[Part]) -> None:
    """Gives each part what was found for its own vectors, out of `_stack`'s order."""
    start = 0
    for part in parts:
        stop = start + len(part.vectors)
        part.candidates = found[start:stop]
        start = stop

"""Recall of the approximate index against exact search, measured at build time."""

import math
from typing import NamedTuple

import numpy as np

from homefeed.index.approximate import ApproximateIndex, Effort
from homefeed.index.exact import top_rows
from homefeed.index.postings import Subset

NUM_ERRORS = 2
"""Standard errors that recall must lie above the bar: as the first effort that passes is taken,
other users would find less than it about every other time."""


class Recall(NamedTuple):
    """The mean over queries, and what it is for other users of the same kind, at the least."""

    mean: float
    at_least: float


class Gate:
    """The same queries and their exact answers, for every setting that is tried."""

    def __init__(self, vectors: np.ndarray, subset: Subset, queries: np.ndarray, k: int) -> None:
        """Answers the queries exactly.

        Args:
            vectors: float32 [num_pins, D].
            subset: the rows that pass the queries' filter.
            queries: vectors of users, float32 [Q, D].
            k: pins that a query asks for.
        """
        self._queries = queries
        self._k = min(k, subset.num_rows)
        self._subset = subset
        self._exact, _ = top_rows(vectors, subset.blocks, queries, self._k)

    def recall(
        self, approximate: ApproximateIndex, effort: Effort, num_wanted: int | None = None
    ) -> Recall:
        """Share of the exact best that the approximate index finds.

        A query without candidates finds them all: `CandidateSearch` scans the filter's rows for
        it. There, pins that a user has seen are candidates beyond those that are wanted, so that
        the index is left with too few no later than here.

        Args:
            approximate: the index.
            effort: how far it is searched.
            num_wanted: pins that a query asks for, at most k; None for k.
        """
        num_wanted = min(num_wanted or self._k, self._k)
        best = self._exact[:, :num_wanted]
        bitmap = None if self._subset.is_whole else self._subset.bitmap
        num_queries = len(self._queries)
        wanted, spare = [num_wanted] * num_queries, [0] * num_queries
        found = approximate.search(self._queries, wanted, spare, effort, bitmap)
        shares = np.array(
            [
                np.isin(exact, rows, assume_unique=True).mean() if len(rows) else 1.0
                for (rows, _), exact in zip(found, best, strict=True)
            ]
        )
        # Of a single query nothing is known beyond itself.
        error = shares.std(ddof=1) / math.sqrt(num_queries) if num_queries > 1 else 0.0
        mean = float(shares.mean())
        return Recall(mean, max(0.0, mean - NUM_ERRORS * error))

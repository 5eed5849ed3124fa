"""Recall of the approximate index against exact search, measured at build time."""

import numpy as np

from homefeed.index.approximate import ApproximateIndex, Effort
from homefeed.index.exact import top_rows
from homefeed.index.postings import Subset

NOISE = 0.5
"""Length of the noise beside the pins' mean distance from their centre: queries are near pins but
not on them, as users are. Towers may put all pins into a narrow cone, and a query outside of it
has neighbours that no user has."""
SEED = 0


class Gate:
    """The same queries and their exact answers, for every setting that is tried.

    Queries are pins of the index with noise added, or of any direction; the towers' users are not
    known here.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        subset: Subset,
        near: np.ndarray | None,
        num_queries: int,
        k: int,
    ) -> None:
        """Makes the queries and answers them exactly.

        Args:
            vectors: float32 [num_pins, D].
            subset: the rows that pass the queries' filter.
            near: rows that the queries are near to; None for queries of any direction.
            num_queries: most queries.
            k: pins that a query asks for.
        """
        if near is None:
            self._queries = _any_direction(num_queries, vectors.shape[1])
        else:
            self._queries = _near(vectors, near, num_queries)
        self._k = min(k, subset.num_rows)
        self._subset = subset
        self._exact, _ = top_rows(vectors, subset.blocks, self._queries, self._k)

    def recall(
        self, approximate: ApproximateIndex, effort: Effort, num_wanted: int | None = None
    ) -> float:
        """Share of the exact best that the approximate index finds, over all queries.

        A query without candidates finds them all: it is answered by a scan.

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
        num_hits = sum(
            np.isin(rows, exact, assume_unique=True).sum() if len(rows) else len(exact)
            for (rows, _), exact in zip(found, best, strict=True)
        )
        return float(num_hits / best.size)


def _near(vectors: np.ndarray, near: np.ndarray, num_queries: int) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(near), min(num_queries, len(near)), replace=False)
    queries = vectors[near[np.sort(chosen)]]
    noise = rng.standard_normal(queries.shape, np.float32)
    spread = np.linalg.norm(queries - queries.mean(axis=0), axis=1).mean()
    noise *= NOISE * spread / np.linalg.norm(noise, axis=1, keepdims=True)
    return queries + noise


def _any_direction(num_queries: int, dimension: int) -> np.ndarray:
    queries = np.random.default_rng(SEED).standard_normal((num_queries, dimension), np.float32)
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)

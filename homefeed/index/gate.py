"""Recall of the approximate index against exact search, measured at build time."""

import numpy as np

from homefeed.index.approximate import ApproximateIndex
from homefeed.index.exact import top_rows

NUM_QUERIES = 500
NOISE = 0.5
"""Length of the noise beside a unit vector: queries near pins but not on them, as users are."""
SEED = 0


class Gate:
    """The same queries and their exact answers, for every setting that is tried.

    Queries are pins of the index with noise added; the towers' users are not known here.
    """

    def __init__(self, vectors: np.ndarray, k: int) -> None:
        rng = np.random.default_rng(SEED)
        num_queries = min(NUM_QUERIES, len(vectors))
        queries = vectors[np.sort(rng.choice(len(vectors), num_queries, replace=False))]
        noise = rng.standard_normal(queries.shape, np.float32)
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        noise *= NOISE * lengths / np.linalg.norm(noise, axis=1, keepdims=True)
        self._queries = queries + noise
        self._k = min(k, len(vectors))
        self._exact, _ = top_rows(vectors, (range(len(vectors)),), self._queries, self._k)

    def recall(self, approximate: ApproximateIndex) -> float:
        """Share of the exact best k that the approximate index finds, over all queries."""
        found = approximate.search(self._queries, self._k, 0, None)
        num_hits = sum(
            np.isin(rows, exact, assume_unique=True).sum()
            for (rows, _), exact in zip(found, self._exact, strict=True)
        )
        return float(num_hits / self._exact.size)

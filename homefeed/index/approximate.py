"""Approximate search: FAISS finds candidates by compressed codes, exact scores put them in order.

The index is `IVF,PQ x4 fast scan` by residual; the last step, which FAISS would do with a second
copy of the vectors (`RFlat`), reads the vectors that exact search maps anyway.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from homefeed.index.merge import Candidates
from homefeed.index.openmp import faiss
from homefeed.index.order import best_first

REFINE_FACTOR = 10
"""Candidates by codes for each pin that is wanted: the codes' order is coarse."""


class ApproximateIndex:
    """A read-only FAISS index over `vectors[num_pins, D]`; safe to use from several threads."""

    def __init__(
        self,
        index: faiss.IndexIVF,
        vectors: np.ndarray,
        num_probes: int,
        num_filtered_probes: int,
    ) -> None:
        """Takes the index, and the lists that it searches without a filter and under one."""
        self._index = index
        self._vectors = vectors
        self._num_probes = num_probes
        self._num_filtered_probes = num_filtered_probes

    def search(
        self,
        queries: np.ndarray,
        num_wanted: Sequence[int],
        num_spare: Sequence[int],
        bitmap: np.ndarray | None,
    ) -> list[Candidates]:
        """Candidates of each of `queries[Q, D]`.

        A filter whose pins lie elsewhere than the query leaves the lists that are searched almost
        empty, and what little they hold is seldom the best: such a query gets no candidates.

        Args:
            queries: float32 vectors.
            num_wanted: pins wanted of each query.
            num_spare: candidates beyond these, of each query, that the caller may throw away.
            bitmap: rows that may be found, as `Subset.bitmap`; None allows all.

        Returns:
            Per query at most `num_wanted + num_spare` rows with exact scores; there may be fewer.
            None at all where a bitmap left fewer rows to refine than the refining needs.
        """
        num_codes = [
            min(REFINE_FACTOR * wanted + spare, self._index.ntotal)
            for wanted, spare in zip(num_wanted, num_spare, strict=True)
        ]
        # The parameters point to the selector and that into the bitmap, and FAISS keeps neither
        # alive: both stay named here until the search is over.
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = self._num_probes
        if bitmap is not None:
            parameters.nprobe = self._num_filtered_probes
            selector = faiss.IDSelectorBitmap(bitmap.size, faiss.swig_ptr(bitmap))
            parameters.sel = selector
        # One pass as deep as the deepest is faster than one for each; to refine all of it is not.
        _, found = self._index.search(queries, max(num_codes), params=parameters)
        candidates = []
        for place, query in enumerate(queries):
            rows = found[place, : num_codes[place]]
            if rows[-1] < 0:
                rows = rows[rows >= 0] if bitmap is None else rows[:0]
            depth = num_wanted[place] + num_spare[place]
            candidates.append(self._refine(query, rows, depth))
        return candidates

    def _refine(self, query: np.ndarray, rows: np.ndarray, depth: int) -> Candidates:
        rows, scores = best_first(rows, self._vectors.take(rows, axis=0) @ query)
        return rows[:depth], scores[:depth]

    @classmethod
    def load(
        cls, path: Path, vectors: np.ndarray, num_probes: int, num_filtered_probes: int
    ) -> "ApproximateIndex":
        """Maps an index that `homefeed.index.build` wrote."""
        # Below this many floats FAISS compares query by query; its default of 128,000 keeps
        # requests of a few vectors away from matrix multiplication, which is 2-7 times faster.
        faiss.cvar.distance_compute_blas_threshold = 4 * vectors.shape[1]
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        return cls(cast(faiss.IndexIVF, index), vectors, num_probes, num_filtered_probes)

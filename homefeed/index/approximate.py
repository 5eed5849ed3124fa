"""Approximate search: FAISS finds candidates by compressed codes, exact scores put them in order.

The index is `IVF,PQ x4 fast scan` by residual; the last step, which FAISS would do with a second
copy of the vectors (`RFlat`), reads the vectors that exact search maps anyway.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from homefeed.index.merge import Candidates
from homefeed.index.openmp import faiss
from homefeed.index.order import best_first

REFINE_FACTOR = 10
"""Candidates by codes for each pin that is wanted: the codes' order is coarse."""


class Effort(NamedTuple):
    """How far a search goes."""

    num_probes: int
    """Inverted lists that it visits."""
    refine_factor: int = REFINE_FACTOR
    refine_for: int = 1
    """Fewer pins than these are refined for as if they were so many. The best few stand no higher
    in the codes' order than the best hundred, so that a share of fewer codes would miss more."""

    def num_codes(self, num_wanted: int, num_spare: int) -> int:
        """Candidates by codes for pins that are wanted, and for others that may fall away."""
        return self.refine_factor * max(num_wanted, self.refine_for) + num_spare


class ApproximateIndex:
    """A read-only FAISS index over `vectors[num_pins, D]`; safe to use from several threads."""

    def __init__(self, index: faiss.IndexIVF, vectors: np.ndarray) -> None:
        self._index = index
        self._vectors = vectors

    def search(
        self,
        queries: np.ndarray,
        num_wanted: Sequence[int],
        num_spare: Sequence[int],
        effort: Effort,
        bitmap: np.ndarray | None,
    ) -> list[Candidates]:
        """Candidates of each of `queries[Q, D]`.

        A filter whose pins lie elsewhere than the query leaves the lists that are searched almost
        empty, and what little they hold is seldom the best: such a query gets no candidates.

        Args:
            queries: float32 vectors.
            num_wanted: pins wanted of each query.
            num_spare: candidates beyond these, of each query, that the caller may throw away.
            effort: how far to search.
            bitmap: rows that may be found, as `Subset.bitmap`; None allows all.

        Returns:
            Per query at most `num_wanted + num_spare` rows with exact scores; there may be fewer.
            None at all where a bitmap left fewer rows to refine than the refining needs.
        """
        asked = list(zip(num_wanted, num_spare, strict=True))
        num_codes = [self._at_most(effort.num_codes(*each)) for each in asked]
        # The parameters point to the selector and that into the bitmap, and FAISS keeps neither
        # alive: both stay named here until the search is over.
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = effort.num_probes
        if bitmap is not None:
            selector = faiss.IDSelectorBitmap(bitmap.size, faiss.swig_ptr(bitmap))
            parameters.sel = selector
        # One pass as deep as the deepest is faster than one for each; to refine all of it is not.
        _, found = self._index.search(queries, max(num_codes), params=parameters)
        candidates = []
        for query, rows, own, (wanted, spare) in zip(queries, found, num_codes, asked, strict=True):
            rows = rows[:own]
            if rows[-1] < 0:
                least = self._at_most(REFINE_FACTOR * wanted + spare)
                rows = rows[rows >= 0] if bitmap is None or rows[least - 1] >= 0 else rows[:0]
            candidates.append(self._refine(query, rows, wanted + spare))
        return candidates

    def _at_most(self, num_codes: int) -> int:
        return min(num_codes, self._index.ntotal)

    def _refine(self, query: np.ndarray, rows: np.ndarray, depth: int) -> Candidates:
        rows, scores = best_first(rows, self._vectors.take(rows, axis=0) @ query)
        return rows[:depth], scores[:depth]

    @classmethod
    def load(cls, path: Path, vectors: np.ndarray) -> "ApproximateIndex":
        """Maps an index that `homefeed.index.build` wrote."""
        # Below this many floats FAISS compares query by query; its default of 128,000 keeps
        # requests of a few vectors away from matrix multiplication, which is 2-7 times faster.
        faiss.cvar.distance_compute_blas_threshold = 4 * vectors.shape[1]
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        return cls(cast(faiss.IndexIVF, index), vectors)

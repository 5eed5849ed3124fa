"""FAISS alone, at the settings of a release's index: what no search engine over it can undercut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from homefeed.index.approximate import Effort
from homefeed.index.layout import ANN, VECTORS
from homefeed.index.postings import Subset

Found = tuple[np.ndarray, np.ndarray]
"""Rows and scores, each [Q, depth]."""


class FaissFloor:
    """One search of one filter, prepared as far as it does not depend on the query.

    What the engine scans exactly is a flat index of just these pins; what it leaves to the
    approximate index goes through FAISS's own refining, with as many lists and candidates.
    """

    def __init__(self, folder: Path, subset: Subset, effort: Effort | None) -> None:
        """Takes an index, the rows that pass the filter, and how far the engine searches them."""
        vectors = np.load(folder / VECTORS)
        self._rows: np.ndarray | None = None
        self._probes: Any = None
        self._effort = effort
        flat = faiss.IndexFlatIP(vectors.shape[1])
        if effort is None:
            self._rows = np.flatnonzero(subset.mask())
            flat.add(vectors[self._rows])
            self._index = flat
            return
        flat.add(vectors)
        # FAISS keeps none of these alive: the index, the selector and its bitmap stay named here.
        self._flat, self._ivf = flat, faiss.read_index(str(folder / ANN))
        self._index = faiss.IndexRefine(self._ivf, flat)
        self._probes = faiss.SearchParametersIVF()
        self._probes.nprobe = effort.num_probes
        if not subset.is_whole:
            self._bitmap = subset.bitmap
            self._selector = faiss.IDSelectorBitmap(self._bitmap.size, faiss.swig_ptr(self._bitmap))
            self._probes.sel = self._selector

    def prepare(self, vectors: np.ndarray, k: int, num_excluded: int) -> Callable[[], Found]:
        """The search of `vectors[Q, D]`: all but FAISS's own work is done before.

        Args:
            vectors: of one query.
            k: pins that are wanted of each.
            num_excluded: pins that may be among the best and not among the wanted.
        """
        depth = k + num_excluded
        if self._rows is not None:
            rows, depth = self._rows, min(depth, len(self._rows))

            def scan() -> Found:
                scores, places = self._index.search(vectors, depth)
                return rows[places], scores

            return scan
        assert self._effort is not None
        parameters = faiss.IndexRefineSearchParameters()
        parameters.k_factor = self._effort.num_codes(k, num_excluded) / depth
        parameters.base_index_params = self._probes

        def search() -> Found:
            scores, rows = self._index.search(vectors, depth, params=parameters)
            return rows, scores

        return search

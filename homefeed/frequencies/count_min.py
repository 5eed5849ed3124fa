"""Shares of pins from a count-min sketch, which decays so that it follows the stream.

Sources: Cormode and Muthukrishnan, "An Improved Data Stream Summary: the Count-Min Sketch and its
Applications", 2005; PinnerFormer (arXiv 2205.04507), section 3.3, estimates the correction so.
"""

import numpy as np
import torch
from torch import Tensor

from homefeed.frequencies.hashing import Hashes

NUM_FUNCTIONS = 5
KEPT = 0.999
"""Share of the counts that outlives a batch: a memory of some thousand of them."""


class CountMinSketch:
    """Counts in tables that all pins share; a count is never less than the true one."""

    def __init__(self, width: int, seed: int) -> None:
        """Makes empty tables.

        Args:
            width: places a table; several times the number of pins.
            seed: of the hash functions.
        """
        self._hashes = Hashes(NUM_FUNCTIONS, width, seed)
        self._counts = np.zeros((NUM_FUNCTIONS, width))
        self._total = 0.0

    def update(self, pins: np.ndarray) -> None:
        """Takes the next batch's pins, int64 [B]."""
        self._counts *= KEPT
        for counts, places in zip(self._counts, self._hashes(pins), strict=True):
            counts += np.bincount(places, minlength=len(counts))
        self._total = self._total * KEPT + len(pins)

    def of(self, pins: np.ndarray) -> np.ndarray:
        """Shares of M pins, float64 [M], in [0, 1]; at least the true ones."""
        rows = np.arange(NUM_FUNCTIONS)[:, None]
        return self._counts[rows, self._hashes(pins)].min(axis=0) / self._total

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        total = torch.tensor(self._total, dtype=torch.float64)
        return {"counts": torch.from_numpy(self._counts.copy()), "total": total}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from a checkpoint."""
        self._counts, self._total = state["counts"].cpu().numpy().copy(), state["total"].item()

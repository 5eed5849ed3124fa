"""Shares of pins estimated from the number of batches between their appearances.

Source: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations",
RecSys 2019, algorithm 2, with several hash functions as in its section 4.
"""

import numpy as np
import torch
from torch import Tensor

from homefeed.frequencies.hashing import Hashes

RATE = 0.01
"""How fast an estimate moves, alpha in the paper."""
NUM_FUNCTIONS = 5


class StreamingShares:
    """Follows a stream whose pins come and go; memory is that of the tables.

    Pins that share a place look more frequent than they are, so of a pin's estimates of the time
    between its batches the longest is taken.
    """

    def __init__(self, width: int, seed: int) -> None:
        """Makes empty tables.

        Args:
            width: places a table; several times the number of pins.
            seed: of the hash functions.
        """
        self._hashes = Hashes(NUM_FUNCTIONS, width, seed)
        shape = (NUM_FUNCTIONS, width)
        self._last = np.zeros(shape)
        self._interval = np.zeros(shape)
        self._step = 0
        self._size = 1

    def update(self, pins: np.ndarray) -> None:
        """Takes the next batch's pins, int64 [B]."""
        self._step += 1
        self._size = len(pins)
        places = self._hashes(np.unique(pins))
        for last, interval, own in zip(self._last, self._interval, places, strict=True):
            own = np.unique(own)
            gap = self._step - last[own]
            is_new = interval[own] == 0
            interval[own] = np.where(is_new, gap, (1 - RATE) * interval[own] + RATE * gap)
            last[own] = self._step

    def of(self, pins: np.ndarray) -> np.ndarray:
        """Shares of M pins, float64 [M], in [0, 1]; of those that no batch has held yet, 0."""
        rows = np.arange(NUM_FUNCTIONS)[:, None]
        intervals = self._interval[rows, self._hashes(pins)]
        interval = np.maximum(intervals.max(axis=0), 1.0)
        # A batch holds the pin with probability 1 / interval; one of its draws, with less.
        is_in_batch = np.minimum(1 / interval, 1 - 1e-9)
        shares = -np.expm1(np.log1p(-is_in_batch) / self._size)
        # Drawn uniformly, a pin may be a candidate without ever having been in a batch: then some
        # table has nothing at its place, and what others have there is of other pins.
        return np.where(intervals.min(axis=0) > 0, shares, 0.0)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        counts = torch.tensor([self._step, self._size])
        tables = {"last": self._last, "interval": self._interval}
        return {"counts": counts} | {n: torch.from_numpy(t.copy()) for n, t in tables.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from a checkpoint."""
        self._step, self._size = state["counts"].tolist()
        self._last, self._interval = (state[n].cpu().numpy().copy() for n in ("last", "interval"))

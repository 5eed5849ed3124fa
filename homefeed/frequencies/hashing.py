"""Hash functions that spread ids over a table."""

import numpy as np

PRIME = (1 << 31) - 1
"""Larger than any table is wide; products of two numbers below it keep within 64 bits."""


class Hashes:
    """Several functions of ids to `[0, width)`, pairwise independent (Carter and Wegman, 1979)."""

    def __init__(self, num_functions: int, width: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self._factors = random.integers(1, PRIME, size=(num_functions, 1), dtype=np.uint64)
        self._terms = random.integers(0, PRIME, size=(num_functions, 1), dtype=np.uint64)
        self._width = np.uint64(width)

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """Places of B ids in each of F tables, int64 [F, B]."""
        low = ids.astype(np.uint64) % np.uint64(PRIME)
        hashed = (low * self._factors + self._terms) % np.uint64(PRIME)
        return (hashed % self._width).astype(np.int64)

"""Which examples meet in a batch, and how often each pin is drawn there.

The other rows of a batch are an example's negatives, and each comes with its pin's statistics at
its own time. Drawn from the whole log, these would tell when a row happened: the towers would learn
to match users and pins by date, which is worth nothing when the whole corpus is scored at one time.
So a batch is drawn from a block of examples that follow each other, and the probability that it
holds a pin follows from the pin's share of the block. Blocks are taken in order of time, so that
what the towers saw last is what is served next.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """One batch of B examples.

    Attributes:
        rows: places among the examples, int64 [B].
        log_q: log of the probability that the rest of a batch holds the example's pin,
            float32 [B].
    """

    rows: np.ndarray
    log_q: np.ndarray


class Batches:
    """The batches of each epoch; equal seeds give equal batches."""

    def __init__(self, pins: np.ndarray, batch_size: int, block_batches: int, seed: int) -> None:
        """Takes the examples.

        Args:
            pins: the pin of each example, ordered by time, int64 [N].
            batch_size: examples a batch; fewer where there are not so many.
            block_batches: batches a block.
            seed: of the order.
        """
        self._pins = pins
        self._batch_size = min(batch_size, len(pins))
        self._block_size = self._batch_size * block_batches
        self._seed = seed

    def epoch(self, epoch: int) -> list[Rows]:
        """All batches of an epoch, block by block; a block's odd rest is left out."""
        random = np.random.default_rng((self._seed, epoch))
        return [batch for block in self._blocks(random) for batch in self._draw(block, random)]

    def _blocks(self, random: np.random.Generator) -> Iterator[range]:
        """Blocks whose borders differ from epoch to epoch."""
        start = -int(random.integers(self._block_size))
        while start < len(self._pins):
            # A first or last block that holds no whole batch is part of its neighbour.
            stop = start + self._block_size
            if stop < self._batch_size:
                stop += self._block_size
            if len(self._pins) - stop < self._batch_size:
                stop = len(self._pins)
            yield range(max(start, 0), min(stop, len(self._pins)))
            start = stop

    def _draw(self, block: range, random: np.random.Generator) -> Iterator[Rows]:
        own = self._pins[block.start : block.stop]
        size = self._batch_size
        _, place, counts = np.unique(own, return_inverse=True, return_counts=True)
        log_q = log_inclusion(counts / len(own), size - 1)[place]
        shuffled = random.permutation(len(own))
        for start in range(0, len(own) - size + 1, size):
            rows = shuffled[start : start + size]
            yield Rows(rows + block.start, log_q[rows])


def log_inclusion(shares: np.ndarray, num_draws: int) -> np.ndarray:
    """Log of the probability that any of some draws gives a pin, float32 [N].

    Args:
        shares: probability that one draw gives it, in (0, 1], [N].
        num_draws: independent draws, at least 1.
    """
    with np.errstate(divide="ignore"):  # a share of 1 is log1p(-1), and comes out as log(1)
        return np.log(-np.expm1(num_draws * np.log1p(-shares))).astype(np.float32)

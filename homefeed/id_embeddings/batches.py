"""Which positives meet in a batch, and which pins are drawn beside them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from homefeed.frequencies.inclusion import log_inclusion
from homefeed.id_embeddings.prepare import Pairs


class Batch(NamedTuple):
    """A batch over all processes, or one process's equal share of it.

    Attributes:
        users: rows of the user table, int64 [B].
        pins: what they engaged with, rows of the pin table, int64 [B].
        negatives: pins drawn uniformly, with replacement, int64 [B].
    """

    users: np.ndarray
    pins: np.ndarray
    negatives: np.ndarray

    def share(self, rank: int, world_size: int) -> "Batch":
        """One process's part."""
        size = len(self.users) // world_size
        return Batch(*(each[rank * size : (rank + 1) * size] for each in self))


class Batches:
    """The batches of each epoch; equal seeds give equal batches for any number of processes."""

    def __init__(self, pairs: Pairs, batch_size: int, world_size: int, seed: int) -> None:
        """Takes the positives.

        Args:
            pairs: the positives.
            batch_size: of a batch; smaller where there are not so many positives.
            world_size: processes, which share a batch equally.
            seed: of the order and of the draws.
        """
        self._pairs = pairs
        self.size = max(min(batch_size, len(pairs)) // world_size, 1) * world_size
        self._seed = seed
        shares = np.bincount(pairs.pins, minlength=pairs.num_pins) / len(pairs)
        self.log_q = log_inclusion(shares, self.size - 1, self.size, pairs.num_pins)
        """Log of the probability that the rest of a batch, or its draws, hold a pin, float32
        [num_pins]."""

    def __len__(self) -> int:
        return -(-len(self._pairs) // self.size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Every positive in some batch; the last is filled up with those that came first."""
        random = np.random.default_rng((self._seed, epoch))
        order = random.permutation(len(self._pairs))
        for start in range(0, len(order), self.size):
            rows = order.take(range(start, start + self.size), mode="wrap")
            yield Batch(
                self._pairs.users[rows],
                self._pairs.pins[rows],
                random.integers(self._pairs.num_pins, size=self.size),
            )

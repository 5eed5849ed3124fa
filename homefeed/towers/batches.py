"""Which examples meet in a batch.

The other rows of a batch are an example's negatives, and each comes with its pin's statistics at
its own time. Drawn from the whole log, these would tell when a row happened: the towers would learn
to match users and pins by date, which is worth nothing when the whole corpus is scored at one time.
So a batch is drawn from a block of examples that follow each other. Blocks are taken in order of
time, so that what the towers saw last is what is served next.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice

import numpy as np

from homefeed.towers.data import Examples
from homefeed.towers.examples import ExampleStream
from homefeed.towers.prefetch import prefetch


class Batches:
    """The batches of each epoch; equal seeds give equal batches."""

    def __init__(
        self,
        stream: ExampleStream,
        batch_size: int,
        block_batches: int,
        seed: int,
        world_size: int = 1,
    ) -> None:
        """Takes the examples.

        Args:
            stream: the examples.
            batch_size: examples a batch; fewer where there are not so many.
            block_batches: batches a block.
            seed: of the order.
            world_size: processes, which share a batch equally.
        """
        self._stream = stream
        self.batch_size = max(min(batch_size, len(stream)) // world_size, 1) * world_size
        self._block_size = self.batch_size * block_batches
        self._seed = seed

    @property
    def num_examples(self) -> int:
        """Examples in all."""
        return len(self._stream)

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch; the borders of blocks leave out more or fewer examples."""
        return sum(len(block) // self.batch_size for block in self._blocks(self._random(epoch)))

    def epoch(
        self, epoch: int, first_batch: int = 0
    ) -> Generator[tuple[Examples, np.ndarray, bool], None, None]:
        """The batches of an epoch: a block, rows of it, int64 [B], and whether it is its last.

        A block's odd rest is left out.

        Args:
            epoch: which one.
            first_batch: the batch to start at; blocks before its own are not read.
        """
        random = self._random(epoch)
        blocks = list(self._blocks(random))
        while blocks and first_batch >= len(blocks[0]) // self.batch_size:
            block = blocks.pop(0)
            random.permutation(len(block))
            first_batch -= len(block) // self.batch_size
        with closing(prefetch(self._stream.blocks(blocks))) as coming:
            for examples in coming:
                last = len(examples) // self.batch_size - 1
                drawn = enumerate(self._draw(len(examples), random))
                for place, batch in islice(drawn, first_batch, None):
                    yield examples, batch, place == last
                first_batch = 0

    def _random(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, epoch))

    def _blocks(self, random: np.random.Generator) -> Iterator[range]:
        """Blocks whose borders differ from epoch to epoch."""
        num_examples = len(self._stream)
        start = -int(random.integers(self._block_size))
        while start < num_examples:
            # A first or last block that holds no whole batch is part of its neighbour.
            stop = start + self._block_size
            if stop < self.batch_size:
                stop += self._block_size
            if num_examples - stop < self.batch_size:
                stop = num_examples
            yield range(max(start, 0), min(stop, num_examples))
            start = stop

    def _draw(self, num_examples: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Batches of a block of some examples."""
        shuffled = random.permutation(num_examples)
        for start in range(0, num_examples - self.batch_size + 1, self.batch_size):
            yield shuffled[start : start + self.batch_size]

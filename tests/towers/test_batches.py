import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefeed.towers.batches import Batches
from homefeed.towers.examples import ExampleStream
from tests.towers.written_examples import ENCODER, START, write

Streamed = Callable[[np.ndarray], ExampleStream]


@pytest.fixture
def streamed(tmp_path: Path) -> Streamed:
    """Writes examples of some pins; their place among all is told by their time."""

    def make(pins: np.ndarray) -> ExampleStream:
        return stream_of(tmp_path, pins)

    return make


def stream_of(dataset: Path, pins: np.ndarray) -> ExampleStream:
    write(dataset, pins, num_parts=3, seconds_apart=1)
    return ExampleStream(dataset, ("train",), ENCODER)


def places(batches: Batches, epoch: int, first_batch: int = 0) -> list[np.ndarray]:
    """Of each batch, the places of its examples among all."""
    return [
        block.timestamps[batch] - START for block, batch, _ in batches.epoch(epoch, first_batch)
    ]


@given(
    num_examples=st.integers(2, 400),
    batch_size=st.integers(2, 32),
    block_batches=st.integers(1, 6),
    epoch=st.integers(1, 3),
)
@settings(max_examples=30, deadline=None)
def test_batches_are_whole_disjoint_and_of_one_time(
    num_examples: int, batch_size: int, block_batches: int, epoch: int
) -> None:
    pins = np.random.default_rng(0).integers(7, size=num_examples)
    with TemporaryDirectory() as folder:
        batches = Batches(stream_of(Path(folder), pins), batch_size, block_batches, seed=5)
        rows = places(batches, epoch)
        size = min(batch_size, num_examples)
        assert rows
        assert len(rows) == batches.num_batches(epoch)
        assert all(len(own) == size for own in rows)
        every = np.concatenate(rows)
        assert len(np.unique(every)) == len(every)
        # A block, its two borders' rests included, is never longer than this.
        assert all(np.ptp(own) < size * (block_batches + 2) for own in rows)
        for first in {0, 1, len(rows) // 2, len(rows) - 1, len(rows)}:
            later = places(batches, epoch, first)
            assert [own.tolist() for own in later] == [own.tolist() for own in rows[first:]]


def test_blocks_come_in_order_of_time(streamed: Streamed) -> None:
    batches = Batches(streamed(np.zeros(4_000, np.int64)), 50, 4, seed=0)
    starts = [own.min() for own in places(batches, 1)]
    # Within a block of 200 examples, and its borders' rests, the order is by chance.
    assert all(later > earlier - 400 for earlier, later in zip(starts, starts[1:], strict=False))
    assert starts != sorted(starts)


def test_most_examples_are_seen_in_every_epoch(streamed: Streamed) -> None:
    batches = Batches(streamed(np.zeros(10_000, np.int64)), 64, 8, seed=0)
    seen = {row for own in places(batches, 1) for row in own.tolist()}
    assert len(seen) > 0.85 * 10_000


def test_equal_seeds_give_equal_batches_and_epochs_differ(streamed: Streamed) -> None:
    stream = streamed(np.arange(500) % 9)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(places(Batches(stream, 16, 4, seed), epoch)).tolist()

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_a_trainer_that_stops_leaves_no_thread(streamed: Streamed) -> None:
    batches = Batches(streamed(np.arange(500) % 9), 16, 4, seed=0).epoch(1)
    next(batches)
    assert any(each.name.startswith("prefetch") for each in threading.enumerate())
    batches.close()
    assert not any(each.name.startswith("prefetch") for each in threading.enumerate())

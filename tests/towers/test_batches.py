import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefeed.towers.batches import Batches, log_inclusion


@given(
    num_examples=st.integers(2, 400),
    batch_size=st.integers(2, 32),
    block_batches=st.integers(1, 6),
    epoch=st.integers(1, 3),
)
def test_batches_are_whole_disjoint_and_of_one_time(
    num_examples: int, batch_size: int, block_batches: int, epoch: int
) -> None:
    pins = np.random.default_rng(0).integers(7, size=num_examples)
    batches = Batches(pins, batch_size, block_batches, seed=5).epoch(epoch)
    size = min(batch_size, num_examples)
    rows = [batch.rows for batch in batches]
    assert batches
    assert all(len(own) == size for own in rows)
    every = np.concatenate(rows)
    assert len(np.unique(every)) == len(every)
    # A block, its two borders' rests included, is never longer than this.
    assert all(np.ptp(own) < size * (block_batches + 2) for own in rows)


def test_blocks_come_in_order_of_time() -> None:
    batches = Batches(np.zeros(4_000, np.int64), 50, 4, seed=0).epoch(1)
    starts = [batch.rows.min() for batch in batches]
    # Within a block of 200 examples, and its borders' rests, the order is by chance.
    assert all(later > earlier - 400 for earlier, later in zip(starts, starts[1:], strict=False))
    assert starts != sorted(starts)


def test_most_examples_are_seen_in_every_epoch() -> None:
    batches = Batches(np.zeros(10_000, np.int64), 64, 8, seed=0)
    seen = {row for batch in batches.epoch(1) for row in batch.rows.tolist()}
    assert len(seen) > 0.85 * 10_000


def test_log_q_is_how_often_a_batch_holds_the_pin_in_its_block() -> None:
    """Trending pins: each half of the log has its own favourite."""
    pins = np.array([0] * 90 + [1] * 10 + [1] * 90 + [0] * 10)
    batches = Batches(pins, 10, 10, seed=0)
    batches._blocks = lambda random: iter([range(100), range(100, 200)])  # type: ignore[method-assign]
    for batch in batches.epoch(1):
        for row, log_q in zip(batch.rows, batch.log_q, strict=True):
            favourite = 0 if row < 100 else 1
            share = 0.9 if pins[row] == favourite else 0.1
            assert np.exp(log_q) == pytest.approx(1 - (1 - share) ** 9)


def test_inclusion_is_the_chance_of_any_draw() -> None:
    shares = np.array([1.0, 0.5, 1e-9])
    assert np.exp(log_inclusion(shares, 3)) == pytest.approx([1.0, 0.875, 3e-9])


def test_equal_seeds_give_equal_batches_and_epochs_differ() -> None:
    pins = np.arange(500) % 9

    def order(seed: int, epoch: int) -> list[int]:
        return [row for b in Batches(pins, 16, 4, seed).epoch(epoch) for row in b.rows.tolist()]

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)

import numpy as np
import pytest

from homefeed.id_embeddings.batches import Batches
from homefeed.id_embeddings.prepare import Pairs

NUM_PINS = 6


@pytest.fixture
def pairs() -> Pairs:
    random = np.random.default_rng(0)
    pins = np.minimum(random.integers(9, size=1003), NUM_PINS - 1)
    return Pairs(np.arange(1003), pins, np.arange(1003), num_users=1003, num_pins=NUM_PINS)


def test_no_positive_is_left_out_of_an_epoch(pairs: Pairs) -> None:
    batches = Batches(pairs, 100, 1, seed=1)
    drawn = list(batches.epoch(1))
    users = np.concatenate([batch.users for batch in drawn])
    assert len(drawn) == len(batches) == 11
    assert {len(batch.users) for batch in drawn} == {100}
    assert np.array_equal(np.unique(users), np.arange(1003))
    assert all(np.array_equal(pairs.pins[batch.users], batch.pins) for batch in drawn)


def test_processes_share_the_batches_that_one_would_have_alone(pairs: Pairs) -> None:
    alone, shared = (list(Batches(pairs, 100, size, seed=1).epoch(2)) for size in (1, 4))
    for whole, own in zip(alone, shared, strict=True):
        parts = [own.share(rank, 4) for rank in range(4)]
        for place, rows in enumerate(whole):
            assert np.array_equal(np.concatenate([part[place] for part in parts]), rows)


def test_epochs_differ_and_seeds_repeat(pairs: Pairs) -> None:
    def first(seed: int, epoch: int) -> list[int]:
        return next(Batches(pairs, 100, 1, seed).epoch(epoch)).users.tolist()

    assert first(1, 1) == first(1, 1)
    assert first(1, 1) != first(1, 2)
    assert first(1, 1) != first(2, 1)


def test_log_q_is_how_often_the_rest_of_a_batch_or_its_draws_hold_a_pin(pairs: Pairs) -> None:
    batches = Batches(pairs, 10, 1, seed=1)
    held = np.zeros(NUM_PINS)
    drawn = [batch for epoch in range(1, 41) for batch in batches.epoch(epoch)]
    for batch in drawn:
        held[np.unique(np.concatenate([batch.pins[1:], batch.negatives]))] += 1
    np.testing.assert_allclose(held / len(drawn), np.exp(batches.log_q), rtol=0.03)


def test_a_small_log_makes_a_smaller_batch_that_processes_still_share_equally(
    pairs: Pairs,
) -> None:
    few = pairs.part(slice(0, 7))
    assert Batches(few, 4096, 1, seed=1).size == 7
    assert Batches(few, 4096, 2, seed=1).size == 6

"""Pins that only uniform draws bring, and estimators that share a checkpoint."""

import numpy as np
import pytest
import torch

from homefeed.frequencies.count_min import CountMinSketch
from homefeed.frequencies.inclusion import log_inclusion
from homefeed.frequencies.streaming import StreamingShares

NUM_PINS, BATCH, NUM_UNIFORM = 2_000, 256, 512
SEEN, UNSEEN = np.arange(NUM_PINS // 2), np.arange(NUM_PINS // 2, NUM_PINS)
Estimator = type[StreamingShares] | type[CountMinSketch]
EVERY: list[Estimator] = [StreamingShares, CountMinSketch]


def fed(kind: Estimator) -> StreamingShares | CountMinSketch:
    estimator, random = kind(8 * NUM_PINS, seed=0), np.random.default_rng(0)
    for _ in range(300):
        estimator.update(random.choice(SEEN, BATCH))
    return estimator


@pytest.mark.parametrize("kind", EVERY)
def test_what_no_batch_held_is_a_candidate_by_uniform_draws_alone(kind: Estimator) -> None:
    found = fed(kind).of(UNSEEN)
    assert (found == 0).mean() > 0.99
    by_draws = np.log1p(-((1 - 1 / NUM_PINS) ** NUM_UNIFORM))
    log_q = log_inclusion(found, BATCH - 1, NUM_UNIFORM, NUM_PINS)
    assert np.median(log_q) == pytest.approx(by_draws, abs=1e-5)


@pytest.mark.parametrize("kind", EVERY)
def test_what_batches_held_is_more_than_the_uniform_draws(kind: Estimator) -> None:
    true = log_inclusion(np.full(len(SEEN), 1 / len(SEEN)), BATCH - 1, NUM_UNIFORM, NUM_PINS)
    found = log_inclusion(fed(kind).of(SEEN), BATCH - 1, NUM_UNIFORM, NUM_PINS)
    # Of a single pin, 70 intervals at a rate of 0.01 tell less.
    assert found.mean() == pytest.approx(true.mean(), abs=0.1)


@pytest.mark.parametrize("kind", EVERY)
def test_a_restored_estimator_leaves_the_checkpoint_as_it_is(kind: Estimator) -> None:
    state = fed(kind).state()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    other = kind(8 * NUM_PINS, seed=0)
    other.restore(state)
    other.update(UNSEEN)
    assert all(torch.equal(state[name], tensor) for name, tensor in kept.items())

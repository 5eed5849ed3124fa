import numpy as np
import pytest

from homefeed.frequencies.count_min import CountMinSketch
from homefeed.frequencies.inclusion import log_inclusion
from homefeed.frequencies.streaming import StreamingShares

NUM_PINS, BATCH = 200, 64
Estimator = type[StreamingShares] | type[CountMinSketch]
EVERY: list[Estimator] = [StreamingShares, CountMinSketch]


def zipf(order: np.ndarray) -> np.ndarray:
    shares = np.empty(NUM_PINS)
    shares[order] = 1 / np.arange(1, NUM_PINS + 1)
    return shares / shares.sum()


def feed(
    estimator: StreamingShares | CountMinSketch, shares: np.ndarray, num: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    for _ in range(num):
        estimator.update(random.choice(NUM_PINS, BATCH, p=shares))


def test_inclusion_is_the_chance_of_any_draw() -> None:
    shares = np.array([1.0, 0.5, 1e-9])
    assert np.exp(log_inclusion(shares, 3)) == pytest.approx([1.0, 0.875, 3e-9])


def test_uniform_draws_give_every_pin_a_chance() -> None:
    shares = np.array([0.5, 0.0])
    found = np.exp(log_inclusion(shares, 3, num_uniform=2, num_pins=10))
    assert found == pytest.approx([1 - 0.125 * 0.81, 1 - 0.81])
    random = np.random.default_rng(0)
    drawn = (random.random((100_000, 3)) < 0.5).any(axis=1)
    beside = (random.integers(10, size=(100_000, 2)) == 0).any(axis=1)
    assert found[0] == pytest.approx((drawn | beside).mean(), abs=5e-3)


@pytest.mark.parametrize("kind", EVERY)
def test_what_batches_hold_is_found(kind: Estimator) -> None:
    shares = zipf(np.arange(NUM_PINS))
    estimator = kind(16 * NUM_PINS, seed=1)
    feed(estimator, shares, 2_000, seed=0)
    head = np.arange(30)
    # Of pins in every batch the step between two of them cannot tell the share, nor need it.
    found, true = (np.exp(log_inclusion(each, BATCH)) for each in (estimator.of(head), shares[:30]))
    assert found == pytest.approx(true, rel=0.3)
    assert (estimator.of(np.arange(NUM_PINS)) > 0).all()


@pytest.mark.parametrize("kind", EVERY)
def test_a_pin_that_comes_into_fashion_is_followed(kind: Estimator) -> None:
    estimator = kind(16 * NUM_PINS, seed=1)
    feed(estimator, zipf(np.arange(NUM_PINS)), 1_500, seed=0)
    before = estimator.of(np.array([NUM_PINS - 1]))[0]
    feed(estimator, zipf(np.arange(NUM_PINS)[::-1]), 1_500, seed=1)
    after = estimator.of(np.array([NUM_PINS - 1]))[0]
    assert after > 10 * before


def test_a_sketch_never_counts_less_than_there_was() -> None:
    sketch = CountMinSketch(64, seed=0)  # so narrow that pins collide
    feed(sketch, zipf(np.arange(NUM_PINS)), 1, seed=0)
    drawn = np.random.default_rng(0).choice(NUM_PINS, BATCH, p=zipf(np.arange(NUM_PINS)))
    true = np.bincount(drawn, minlength=NUM_PINS) / BATCH
    assert (sketch.of(np.arange(NUM_PINS)) >= true - 1e-12).all()


@pytest.mark.parametrize("kind", EVERY)
def test_a_restored_estimator_goes_on_as_if_nothing_had_been(kind: Estimator) -> None:
    shares, pins = zipf(np.arange(NUM_PINS)), np.arange(NUM_PINS)
    whole, half, rest = (kind(1_000, seed=4) for _ in range(3))
    feed(whole, shares, 20, seed=0)
    feed(half, shares, 20, seed=0)
    rest.restore(half.state())
    for estimator in (whole, rest):
        feed(estimator, shares, 20, seed=1)
    assert (whole.of(pins) == rest.of(pins)).all()

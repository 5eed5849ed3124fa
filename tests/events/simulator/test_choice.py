import numpy as np
import pytest

from homefeed.events.simulator.choice import CHOICES, OPTIONS, choose, find_factor, weigh
from homefeed.events.simulator.slates import KINDS, Slates


def test_choices_are_as_frequent_as_the_equation_says() -> None:
    shape = (2, 200_000)
    utilities = np.full(shape, 1.5, np.float32)
    is_shown = np.ones(shape, bool)
    is_shown[:, :100] = False
    nothing = np.zeros(shape, np.int32)
    slates = Slates(nothing[0], nothing, nothing, is_shown, utilities)
    chosen = choose(weigh(slates, KINDS["search"]), 0.3, np.random.default_rng(0))
    assert not chosen[:, :100].any()
    for place in (1, 2):
        weights = [
            0.3 * place**-0.8 * np.exp(option.offset + 1.5 * option.slope) for option in OPTIONS
        ]
        expected = np.array([1, *weights]) / (1 + sum(weights))
        found = np.bincount(chosen[place - 1, 100:], minlength=len(CHOICES)) / (shape[1] - 100)
        np.testing.assert_allclose(found, expected, atol=0.005)


def test_the_factor_gives_the_rate() -> None:
    weights = np.random.default_rng(0).exponential(size=1000)
    for rate in (0.01, 0.25, 0.9):
        engaged = find_factor(weights, rate) * weights
        assert np.mean(engaged / (1 + engaged)) == pytest.approx(rate, rel=1e-6)

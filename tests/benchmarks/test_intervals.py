"""Intervals against textbook values, and how often they hold what they promise."""

import numpy as np
import pytest

from benchmarks.intervals import over_repeats, over_seeds, over_seeds_and_users


def test_seeds_have_students_interval() -> None:
    # Mean 3, deviation sqrt(2.5), five seeds: 2.776 of Student's t at four degrees of freedom.
    found = over_seeds(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half = 2.7764451 * np.sqrt(2.5 / 5)
    assert found == pytest.approx((3.0, 3 - half, 3 + half))


def test_one_seed_has_no_interval() -> None:
    assert over_seeds(np.array([0.5])) == (0.5, None, None)


def test_users_alone_give_an_interval_where_there_is_one_seed() -> None:
    found = over_seeds_and_users(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    assert found == pytest.approx(over_seeds(np.array([1.0, 2.0, 3.0, 4.0, 5.0])))


def test_no_difference_is_no_interval() -> None:
    assert over_seeds_and_users(np.zeros((3, 4))) == (0.0, 0.0, 0.0)


def test_intervals_hold_the_mean_over_both_seeds_and_users() -> None:
    generator = np.random.default_rng(0)
    num_seeds, num_users, true_mean, num_held = 5, 200, 0.3, 0
    for _ in range(1000):
        gains = (
            true_mean
            + generator.normal(scale=0.1, size=(num_seeds, 1))
            + generator.normal(scale=1.0, size=(1, num_users))
            + generator.normal(scale=1.0, size=(num_seeds, num_users))
        )
        found = over_seeds_and_users(gains)
        assert found.low is not None and found.high is not None
        num_held += found.low <= true_mean <= found.high
    # 95 % or a little more, as residuals count twice; three deviations of a thousand draws are 2 %.
    assert 930 <= num_held <= 990


def test_repeats_have_the_median_between_the_least_and_the_greatest_of_six() -> None:
    assert over_repeats(np.array([5.0, 1.0, 9.0, 2.0, 3.0, 4.0])) == (3.5, 1.0, 9.0)


def test_five_repeats_are_too_few_for_an_interval() -> None:
    assert over_repeats(np.array([5.0, 1.0, 9.0, 2.0, 3.0])) == (3.0, None, None)


@pytest.mark.parametrize("num_repeats", [6, 9, 20])
def test_the_interval_of_a_median_holds_as_often_as_it_promises(num_repeats: int) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.exponential(size=(4000, num_repeats))
    held = [over_repeats(values) for values in drawn]
    share = np.mean([low <= np.log(2) <= high for _, low, high in held])
    assert share > 0.945

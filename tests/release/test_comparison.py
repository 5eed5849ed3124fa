import math

import numpy as np
import pytest

from homefeed.release.comparison import (
    FLOOR,
    compare_categories,
    compare_numbers,
    population_stability,
)

NAN = float("nan")


def test_psi_by_hand() -> None:
    found = population_stability(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    assert found == pytest.approx(-0.25 * math.log(0.5) + 0.25 * math.log(1.5))


def test_an_empty_part_weighs_as_the_floor() -> None:
    found = population_stability(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert found == pytest.approx(2 * (1 - FLOOR) * math.log(1 / FLOOR))


def test_ks_by_hand() -> None:
    # Up to 2, a half of the expected lie below and none of the others.
    expected, found = np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])
    assert compare_numbers("x", expected, found).ks == 0.5
    assert compare_numbers("x", found, expected).ks == 0.5


def test_equal_sides_do_not_differ_and_any_scale_gives_the_same() -> None:
    numbers = np.random.default_rng(0).lognormal(size=2000)
    same = compare_numbers("x", numbers, np.random.default_rng(1).permutation(numbers))
    assert (same.psi, same.ks) == (0.0, 0.0)
    plain = compare_numbers("x", numbers, 2 * numbers)
    scaled = compare_numbers("x", np.log(numbers), np.log(2 * numbers))
    assert plain.psi == pytest.approx(scaled.psi)
    assert plain.ks == pytest.approx(scaled.ks)
    assert plain.psi > 0.3
    assert plain.medians == pytest.approx((np.median(numbers), 2 * np.median(numbers)))


def test_missing_numbers_are_a_part_of_their_own() -> None:
    numbers = np.arange(100.0)
    lost = np.where(numbers % 4 == 0, NAN, numbers)
    found = compare_numbers("x", numbers, lost)
    assert (found.parts[-1], found.expected[-1], found.found[-1]) == ("missing", 0.0, 0.25)
    assert found.psi > 0.9
    assert sum(found.found) == pytest.approx(1.0)
    nothing = np.full(100, NAN)
    assert compare_numbers("x", nothing, nothing).psi == 0.0
    assert compare_numbers("x", numbers, nothing).ks == 1.0


def test_a_constant_is_compared_too() -> None:
    found = compare_numbers("x", np.ones(50), np.full(50, 2.0))
    assert found.ks == 1.0
    assert compare_numbers("x", np.ones(50), np.ones(50)).psi == 0.0


def test_categories_and_what_is_out_of_vocabulary() -> None:
    expected, found = np.array([2, 2, 2, 3]), np.array([2, 1, 1, 3])
    compared = compare_categories("x", expected, found, {2: "two"}, unknown=1)
    assert compared.parts == ("two", "3", "others")
    assert compared.expected == (0.75, 0.25, 0.0)
    assert compared.found == (0.25, 0.25, 0.5)
    assert compared.unknown == (0.0, 0.5)
    assert compared.psi > 1


def test_rare_categories_share_a_part() -> None:
    rows = np.repeat(np.arange(2, 32), np.arange(30, 0, -1))
    compared = compare_categories("x", rows, rows, {}, unknown=1)
    assert len(compared.parts) == 21
    assert compared.parts[0] == "2"
    assert compared.expected[-1] == pytest.approx(sum(range(1, 11)) / sum(range(1, 31)))
    assert compared.psi == 0.0

from pathlib import Path

import numpy as np
import pytest

from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.world import draw_world, load_world, save_world

CONFIG = Simulator(users=3000, pins=8000, days=60, engagements=1, interests=30, seed=4)
WORLD = draw_world(CONFIG)
USERS = np.arange(CONFIG.users)


def test_a_mix_is_a_share_of_each_interest_at_any_time() -> None:
    for day in (0.0, 29.9, 30.0, 60.0):
        weights = WORLD.mix(USERS, day)
        assert weights.shape == (5, 3000)
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)


def test_interests_drift_slowly_and_far() -> None:
    def distance(day: float) -> float:
        return np.abs(WORLD.mix(USERS, day) - WORLD.mix(USERS, 0.0)).sum(axis=0).mean() / 2

    assert 0 < distance(1) < 0.1
    assert distance(30) > 0.3
    still = draw_world(Simulator(users=9, pins=50, days=60, engagements=1, drift=0, trends=0))
    np.testing.assert_allclose(still.mix(np.arange(9), 0), still.mix(np.arange(9), 60), rtol=1e-5)


def test_a_trend_rises_and_falls() -> None:
    config = Simulator(users=1, pins=50, days=60, engagements=1, trends=1)
    interests = draw_world(config).interests
    (which,), (day,), (width,), (height,) = (
        interests.trend_interest,
        interests.trend_day,
        interests.trend_width,
        interests.trend_height,
    )
    lifts = [interests.lift(day + shift * width) for shift in (-3, -1, 0, 1, 3)]
    expected = height * np.exp(-np.array([9, 1, 0, 1, 9]) / 2)
    np.testing.assert_allclose([lift[which] for lift in lifts], expected, rtol=1e-5)
    assert sum(np.count_nonzero(lift) for lift in lifts) == 5


def test_interests_and_copies_have_long_tails() -> None:
    counts = np.sort(np.bincount(WORLD.pins.interests[0]))[::-1]
    assert counts[:3].sum() > counts[15:].sum() > 0
    assert WORLD.interests.prevalence[0] == pytest.approx(30 * WORLD.interests.prevalence[29])
    copies = np.bincount(WORLD.pins.original)
    copies = copies[copies > 0]
    assert np.median(copies) == 1
    assert copies.max() >= 20


def test_copies_are_of_the_same_content_and_come_later() -> None:
    pins = WORLD.pins
    original = pins.original
    assert (original[original] == original).all()
    for values in (pins.interests[0], pins.interests[1], pins.quality, pins.content):
        np.testing.assert_array_equal(values, values[original])
    assert (pins.created_at >= pins.created_at[original]).all()
    assert (np.diff(pins.created_at) >= 0).all()
    assert pins.created_at.max() < CONFIG.end_seconds
    is_before = pins.created_at < CONFIG.start_seconds
    assert set(pins.interests[0][is_before]) == set(range(30))
    # Copies differ in how often they are shown: that is no merit of the image.
    is_copy = original != np.arange(CONFIG.pins)
    assert (pins.popularity != pins.popularity[original])[is_copy].all()


def test_utilities_of_slates_and_of_all_pairs_are_the_same() -> None:
    users, day = np.array([5, 5, 2999, 0]), 17.0
    pins = np.random.default_rng(0).integers(CONFIG.pins, size=(6, 4)).astype(np.int32)
    slates = WORLD.utility(users, WORLD.mix(users, day), pins)
    pairs = WORLD.all_utilities(users, np.arange(CONFIG.pins), day)
    np.testing.assert_allclose(slates, pairs[np.arange(4), pins], rtol=1e-4, atol=1e-5)


def test_utility_is_the_equation() -> None:
    user, pin, day = 7, 70, 42.0
    own, (weights,) = WORLD.users.interests[:, user], WORLD.mix(np.array([user]), day).T[:1]
    of = [sum(w for w, j in zip(weights, own, strict=True) if j == g) for g in range(30)]
    first, second = WORLD.pins.interests[:, pin]
    expected = (
        4 * (0.7 * of[first] + 0.3 * of[second])
        + WORLD.users.taste[user] @ WORLD.pins.content[pin]
        + WORLD.pins.quality[pin]
    )
    found = WORLD.all_utilities(np.array([user]), np.array([pin]), day)
    assert found[0, 0] == pytest.approx(expected, rel=1e-4)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    small = draw_world(Simulator(users=9, pins=50, days=9, engagements=1))
    save_world(small, tmp_path)
    again = load_world(small.config, tmp_path)
    pairs = (np.arange(9), np.arange(50), 8.5)
    np.testing.assert_array_equal(again.all_utilities(*pairs), small.all_utilities(*pairs))
    (tmp_path / "users_taste.npy").unlink()
    with pytest.raises(ValueError, match="users_taste.npy is missing: import the events again"):
        load_world(small.config, tmp_path)


def test_as_few_pins_as_interests_are_enough() -> None:
    for seed in range(20):
        pins = draw_world(Simulator(users=1, pins=50, days=9, engagements=1, seed=seed)).pins
        assert set(pins.interests[0]) == set(range(50))

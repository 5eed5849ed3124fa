import numpy as np
import pytest

from homefeed.events.simulator.catalogue import make_catalogue, sort_by_interest
from homefeed.events.simulator.config import SECONDS_A_DAY, Simulator
from homefeed.events.simulator.world import draw_world, make_generator

CONFIG = Simulator(users=1, pins=2000, days=20, engagements=1, interests=8)
PINS = draw_world(CONFIG).pins


def test_pins_are_drawn_as_often_as_they_should_be() -> None:
    at = CONFIG.start_seconds + 10 * SECONDS_A_DAY
    drawn = np.zeros(CONFIG.pins)
    for day in range(40):
        generator = make_generator(CONFIG, 4, day)
        catalogue = make_catalogue(PINS, sort_by_interest(PINS), 8, at, 14.0, generator)
        interests = generator.integers(8, size=(5, 10_000))
        pins = catalogue.draw(interests, generator)
        np.testing.assert_array_equal(PINS.interests[0][pins], interests)
        drawn += np.bincount(pins.ravel(), minlength=CONFIG.pins)
    weight = PINS.popularity * (0.1 + 2 ** -((at - PINS.created_at) / SECONDS_A_DAY / 14))
    weight[PINS.created_at > at] = 0
    sums = np.bincount(PINS.interests[0], weight)
    expected = 2_000_000 / 8 * weight / sums[PINS.interests[0]]
    assert drawn[expected == 0].sum() == 0
    often = expected > 1000
    assert often.sum() > 300
    np.testing.assert_allclose(drawn[often] / expected[often], 1, atol=0.25)
    assert (drawn[often] / expected[often]).mean() == pytest.approx(1, abs=0.01)

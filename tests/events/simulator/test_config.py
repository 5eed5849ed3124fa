from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from homefeed.config import from_yaml, to_yaml
from homefeed.events.config import EventsConfig
from homefeed.events.importing import source_fingerprint
from homefeed.events.simulator.config import Simulator
from homefeed.recipe import read_recipe

SIZE = {"users": 10, "pins": 60, "days": 5, "engagements": 100}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"users": 0}, "users=0 must be > 0"),
        ({"days": -1}, "days=-1 must be > 0"),
        ({"seed": -1}, "seed=-1 must be >= 0"),
        ({"drift_days": 0.0}, "drift_days=0.0 must be > 0"),
        ({"taste": float("nan")}, "taste=nan must be >= 0"),
        ({"label_noise": 1.5}, r"label_noise=1.5 must be in \[0, 1\]"),
        ({"copies_exponent": 0.5}, "copies_exponent=0.5 must be >= 1"),
        ({"slate": 41}, r"slate=41 must be in 1\.\.40"),
        ({"engagement_rate": 1.0}, r"engagement_rate=1.0 must be in \(0, 1\)"),
        ({"pins": 49}, "pins=49 are fewer than interests=50: every interest needs a pin"),
        ({"start": datetime(2024, 1, 1)}, "start=2024-01-01T00:00:00 needs a zone"),
        (
            {"start": datetime.now(UTC) - timedelta(days=4)},
            "and days=5 lead into the future: the log must end in the past",
        ),
        ({"surfaces": {"home": 0.5, "shop": 0.5}}, r"\['shop'\]; there are home, search, related"),
        ({"surfaces": {"home": 0.5}}, "shares >= 0 that sum to 1"),
        ({"surfaces": {"home": 1.5, "search": -0.5}}, "shares >= 0 that sum to 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        msgspec.convert(SIZE | settings, Simulator)


def test_it_is_a_source_of_the_events_section() -> None:
    text = "input: {source: simulator, users: 10, pins: 60, days: 5, engagements: 100, seed: 3}"
    section = from_yaml(text, EventsConfig, "events")
    assert section.input == Simulator(**SIZE, seed=3)
    assert from_yaml(to_yaml(section), EventsConfig, "again") == section


def test_the_fingerprint_is_of_the_settings() -> None:
    fingerprints = {
        source_fingerprint(EventsConfig(input=Simulator(**SIZE, seed=seed))) for seed in (1, 1, 2)
    }
    assert len(fingerprints) == 2


def test_the_shipped_recipe_simulates() -> None:
    source = read_recipe("simulator").events.input
    assert isinstance(source, Simulator)
    assert source.users == 2000

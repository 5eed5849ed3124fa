from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.evaluation.utility import read_known_truth, true_utilities, utility_at_k
from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from homefeed.events.simulator.config import Simulator
from homefeed.recipe import read_recipe

CONFIG = Simulator(users=200, pins=1000, days=40, engagements=20_000, interests=20)
UTILITIES = np.array([[4.0, 1.0, 2.0, -1.0], [0.0, 3.0, 1.0, 5.0]], np.float32)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known_truth") / "events"
    import_events(EventsConfig(input=CONFIG), folder)
    return folder


def test_held_out_engagements_are_of_more_use_than_random_pins(
    events: Path, tmp_path: Path
) -> None:
    dataset, features = tmp_path / "dataset", read_recipe("simulator").features
    built = build_dataset(events, DatasetConfig(), features, 0, dataset)
    held_out = pq.read_table(dataset / "engagements.parquet", filters=[("split", "==", "test")])
    users, pins = (held_out[name].to_pylist() for name in ("user_id", "pin_id"))
    truth = read_known_truth(events)
    all_users, all_pins = (list(map(str, range(num))) for num in (CONFIG.users, CONFIG.pins))
    utilities = true_utilities(truth, all_users, all_pins, built.details["serving_time"])
    assert utilities.shape == (200, 1000)
    assert utilities.dtype == np.float32
    rows, columns = np.array(users, int), np.array(pins, int)
    random = np.random.default_rng(0).integers(CONFIG.pins, size=len(rows))
    better = utilities[rows, columns] > utilities[rows, random]
    assert better.mean() > 0.8
    assert utilities[rows, columns].mean() > utilities[rows, random].mean() + 1


def test_utilities_are_of_a_time_and_in_the_order_asked_for(events: Path) -> None:
    truth, start, end = read_known_truth(events), CONFIG.start_seconds, CONFIG.end_seconds
    both = true_utilities(truth, ["7", "3"], ["999", "0"], start)
    for row, user in enumerate(("7", "3")):
        for column, pin in enumerate(("999", "0")):
            alone = true_utilities(truth, [user], [pin], start)[0, 0]
            np.testing.assert_allclose(alone, both[row, column], rtol=1e-4)
    assert len(np.unique(both.round(2))) == 4
    assert not np.allclose(both, true_utilities(truth, ["7", "3"], ["999", "0"], end), atol=1e-3)


@pytest.mark.parametrize(
    ("users", "pins", "as_of", "said"),
    [
        (["200"], ["0"], CONFIG.end_seconds, r"users \['200'\] are none .* from 0 to 199"),
        (["0"], ["07", "x"], CONFIG.end_seconds, r"pins \['07', 'x'\] are none"),
        (["0"], ["0"], CONFIG.end_seconds + 1, "lies outside the simulated log"),
        (["0"], ["0"], CONFIG.start_seconds - 1, "lies outside the simulated log"),
    ],
)
def test_what_the_log_does_not_have_is_refused(
    events: Path, users: list[str], pins: list[str], as_of: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        true_utilities(read_known_truth(events), users, pins, as_of)


def test_another_source_has_no_known_truth(tiny_events: Path) -> None:
    with pytest.raises(ValueError, match="has no known truth: only a log with events.input.source"):
        read_known_truth(tiny_events)


def test_utility_at_k_is_a_share_of_the_best() -> None:
    recommended = np.array([[0, 2, 1], [0, 2, -1]])
    np.testing.assert_allclose(utility_at_k(recommended, UTILITIES, 1), [1, 0])
    np.testing.assert_allclose(utility_at_k(recommended, UTILITIES, 2), [1, 1 / 8])
    np.testing.assert_allclose(utility_at_k(recommended, UTILITIES, 3), [1, 1 / 9])


def test_the_best_are_of_those_allowed() -> None:
    allowed = np.array([[False, True, True, True], [True, True, True, False]])
    found = utility_at_k(np.array([[1, 3], [1, 0]]), UTILITIES, 2, allowed)
    np.testing.assert_allclose(found, [0, 3 / 4])
    with pytest.raises(ValueError, match="fewer than k=2 allowed candidates"):
        utility_at_k(np.array([[1, 3], [1, 0]]), UTILITIES, 2, allowed & (UTILITIES > 2))


@pytest.mark.parametrize("k", [0, 3, 5])
def test_a_cutoff_beyond_what_there_is_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k={k} must be at least 1, and no more than the 2"):
        utility_at_k(np.array([[1, 3], [1, 0]]), UTILITIES, k)

"""The simulated homefeed as an events artifact, and what is built on it."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from homefeed.contracts import read_manifest
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from homefeed.recipe import read_recipe
from tests.events.simulator.small import SMALL, TINY, Simulated


def test_the_artifact_has_the_contract_the_impressions_and_the_truth(simulated: Simulated) -> None:
    manifest = read_manifest(simulated.folder, "events")
    assert {"engagements.parquet", "impressions.parquet", "truth/users_taste.npy"} <= set(
        manifest.files
    )
    assert manifest.details["num_rejected"] == {}
    assert manifest.details["num_pins"] == SMALL.pins
    assert manifest.details["num_users"] == SMALL.users
    assert manifest.details["num_engagements"] == simulated.engaged.sum()
    assert not list(simulated.folder.parent.glob(".*"))
    assert manifest.window is not None
    assert SMALL.start_seconds <= manifest.window.start < manifest.window.end <= SMALL.end_seconds


def test_engagements_are_the_impressions_with_a_choice(simulated: Simulated) -> None:
    own = pq.read_table(simulated.folder / "engagements.parquet")
    assert own["event_id"].to_pylist() == list(range(own.num_rows))
    for ours, theirs in (("user_id", "user_id"), ("pin_id", "pin_id"), ("action", "choice")):
        expected = simulated.columns[theirs][simulated.engaged]
        np.testing.assert_array_equal(own[ours].to_pylist(), expected)
    assert set(own["action"].to_pylist()) == {"closeup", "click", "save", "hide"}


def test_copies_have_one_canonical_signature(simulated: Simulated) -> None:
    pins = pq.read_table(simulated.folder / "pins.parquet").to_pydict()
    signatures = pq.read_table(simulated.folder / "signatures.parquet").to_pydict()
    canonical = dict(zip(*signatures.values(), strict=True))
    assert len(set(pins["image_signature"])) == SMALL.pins
    rows = np.array(pins["pin_id"], np.int64)
    own = np.array([canonical[each] for each in pins["image_signature"]])
    original = simulated.world.pins.original
    np.testing.assert_array_equal(own, [f"image-{row}" for row in original[rows]])
    assert len(set(own)) < 0.8 * SMALL.pins
    # Copies look alike, two pins of the same interest do not.
    embedding = np.empty((SMALL.pins, SMALL.dimension))
    embedding[rows] = pins["embedding"]
    copies = np.flatnonzero(original != np.arange(SMALL.pins))

    def distance(others: np.ndarray) -> float:
        return np.linalg.norm(embedding[copies] - embedding[others], axis=1).mean()

    interest = simulated.world.pins.interests[0]
    others = np.array([np.flatnonzero(interest == interest[copy])[0] for copy in copies])
    assert 3 * distance(original[copies]) < distance(others)


def test_interests_are_observed_with_noise(simulated: Simulated) -> None:
    users = pq.read_table(simulated.folder / "users.parquet").to_pydict()
    pins = pq.read_table(simulated.folder / "pins.parquet").to_pydict()
    own = simulated.world.users.interests
    for name, expected in (("followed_interests", 0.6), ("inferred_interests", 0.8)):
        found, wrong = [], []
        for user_id, listed in zip(users["user_id"], users[name], strict=True):
            rows = {int(each.removeprefix("interest_")) for each in listed}
            assert len(rows) == len(listed)
            true = set(own[:, int(user_id)].tolist())
            found.append(len(rows & true) / len(true))
            wrong.append(len(rows - true))
        assert expected - 0.03 < np.mean(found) < expected + 0.12
        assert 0.05 < np.mean(wrong) < 0.2
    assert 2 <= len(set(users["country"])) <= 10
    first = simulated.world.pins.interests[0]
    is_right = [
        listed[0] == f"interest_{first[int(pin_id)]:02}"
        for pin_id, listed in zip(pins["pin_id"], pins["interests"], strict=True)
    ]
    assert 0.88 < np.mean(is_right) < 0.95


def test_equal_settings_give_equal_artifacts(tiny_simulated: Path, tmp_path: Path) -> None:
    again = import_events(EventsConfig(input=TINY), tmp_path / "events")
    assert again == read_manifest(tiny_simulated, "events")
    assert not (tiny_simulated / "impressions.parquet").exists()


def test_a_data_set_is_built_from_it(tiny_simulated: Path, tmp_path: Path) -> None:
    features = read_recipe("simulator").features
    built = build_dataset(tiny_simulated, DatasetConfig(), features, 0, tmp_path / "dataset")
    actions = pq.read_table(tiny_simulated / "engagements.parquet")["action"].to_pylist()
    num_kept = len(actions) - actions.count("hide")
    assert sum(built.details["num_examples"].values()) == num_kept > 3000

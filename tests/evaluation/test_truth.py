"""The truth against the data set, event by event."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import read_manifest
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.evaluation.truth import Truth, read_truth
from tests.data_fixtures import TINY_FEATURES
from tests.index.artifacts import write_dataset

DAY = 86_400
HALF_LIFE_DAYS = 2.0


def read(dataset: Path, tmp_path: Path, max_users: int | None = None, seed: int = 0) -> Truth:
    return read_truth(dataset, HALF_LIFE_DAYS, max_users, seed, scratch=tmp_path / "output")


def check_against_definition(dataset: Path, truth: Truth) -> None:
    engagements = pq.read_table(dataset / "engagements.parquet").to_pylist()
    known, tested = defaultdict(set), defaultdict(set)
    popularity: Counter[int] = Counter()
    decayed: Counter[int] = Counter()
    serving_time = read_manifest(dataset, "dataset").details["serving_time"]
    for event in engagements:
        user, pin = event["user_index"], event["pin_index"]
        if event["split"] == "test":
            tested[user].add(pin)
            continue
        known[user].add(pin)
        popularity[pin] += 1
        age_days = (serving_time - event["timestamp"]) / DAY
        decayed[pin] += 2 ** (-age_days / HALF_LIFE_DAYS)
    warm = [user for user in sorted(known) if tested[user] - known[user]]
    assert truth.users.tolist() == warm
    assert truth.num_warm_users == len(warm)
    ids = pq.read_table(dataset / "users.parquet")["user_id"].to_pylist()
    assert truth.user_ids == tuple(ids[user] for user in warm)
    assert [row.tolist() for row in truth.relevant] == [sorted(tested[u] - known[u]) for u in warm]
    assert [row.tolist() for row in truth.seen] == [sorted(known[u]) for u in warm]
    assert [row.tolist() for row in truth.known] == [sorted(known[u]) for u in range(len(ids))]
    assert truth.candidates.tolist() == sorted(popularity)
    assert truth.popularity.tolist() == [popularity[pin] for pin in sorted(popularity)]
    assert truth.decayed_popularity == pytest.approx([decayed[p] for p in sorted(decayed)])
    unreachable = [pin for user in warm for pin in tested[user] - known[user] - set(popularity)]
    assert truth.num_unreachable == len(unreachable)


@pytest.mark.parametrize("split", ["time", "leave_last_out", "random"])
def test_truth_follows_the_splits(tiny_events: Path, tmp_path: Path, split: Any) -> None:
    dataset = tmp_path / "dataset"
    build_dataset(tiny_events, DatasetConfig(split=split), TINY_FEATURES, seed=3, output=dataset)
    check_against_definition(dataset, read(dataset, tmp_path))


def test_pins_that_are_new_to_everyone_cannot_be_reached(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    # The small log's last pins of each interest appear on its last day only.
    truth = read(tiny_dataset, tmp_path)
    num_pins = read_manifest(tiny_dataset, "dataset").details["num_pins"]
    assert 0 < truth.num_unreachable < len(truth.relevant.values)
    assert len(truth.candidates) < num_pins


def test_a_sample_of_users_is_drawn_by_the_seed(tiny_dataset: Path, tmp_path: Path) -> None:
    whole = read(tiny_dataset, tmp_path)
    some, again = (read(tiny_dataset, tmp_path, max_users=5, seed=7) for _ in range(2))
    other = read(tiny_dataset, tmp_path, max_users=5, seed=8)
    assert some.user_ids == again.user_ids
    assert some.user_ids != other.user_ids
    assert len(some.user_ids) == 5
    assert some.num_warm_users == whole.num_warm_users
    # A user keeps what is right, and the baselines keep what everyone did.
    for place, user_id in enumerate(some.user_ids):
        row = whole.user_ids.index(user_id)
        assert np.array_equal(some.relevant[place], whole.relevant[row])
        assert np.array_equal(some.seen[place], whole.seen[row])
    assert np.array_equal(some.known.values, whole.known.values)
    assert read(tiny_dataset, tmp_path, max_users=10_000).user_ids == whole.user_ids


def test_a_data_set_without_warm_users_is_refused(tmp_path: Path) -> None:
    dataset = write_dataset(
        tmp_path / "dataset",
        [{"user_id": "a"}, {"user_id": "b"}],
        [("a", "p0", "click", 1, "train"), ("b", "p1", "click", 2000, "test")],
    )
    table = pq.read_table(dataset / "engagements.parquet")
    table = table.append_column("user_index", [[0, 1]]).append_column("pin_index", [[0, 1]])
    pq.write_table(table, dataset / "engagements.parquet")
    with pytest.raises(ValueError, match="no user with both .* give the test split a larger share"):
        read(dataset, tmp_path)

"""Bytes of a real release for each pin and user."""

from pathlib import Path

import pytest

from benchmarks.release_sizes import NAME, measure_sizes
from tests.serving.small_release import DIMENSION, NUM_PINS, build_small_release


def test_parts_make_up_the_index(tmp_path: Path) -> None:
    folder = build_small_release(tmp_path).folder
    records = list(measure_sizes("small", folder))
    assert {record.experiment for record in records} == {NAME}
    found = {record.metric: record.value for record in records}
    assert (found["pins"], found["dimensions"]) == (NUM_PINS, DIMENSION)
    assert found["vectors"] >= 4 * DIMENSION
    assert found["approximate index"] == 0  # so few pins are searched exactly
    parts = ("vectors", "approximate index", "ids and postings")
    index = sum(path.stat().st_size for path in (folder / "index").iterdir())
    assert sum(found[part] for part in parts) * NUM_PINS == pytest.approx(index, abs=1)
    # The reader and the lurker.
    files = [*(folder / "users").iterdir(), folder / "prepared_users.mdb"]
    users = sum(path.stat().st_size for path in files)
    assert found["users"] == pytest.approx(users / 2)

"""The figures that plans are made of are those of docs/results."""

import shutil
from pathlib import Path

import pytest

from homefeed.capacity.measured import PLACES, collect, read_measured
from homefeed.evaluation.results import RESULTS_FOLDER, read_results, write_results

RESULTS = Path(__file__).parents[2] / RESULTS_FOLDER


def test_the_package_has_what_was_measured() -> None:
    assert read_measured() == collect(RESULTS), "run `make generate`"


def test_each_figure_says_how_it_was_measured() -> None:
    assert read_measured().keys() == PLACES.keys()
    for name, record in read_measured().items():
        assert record.value > 0, name
        assert record.command, name
        assert record.commit, name
        assert " cores" in record.machine, name


def test_a_figure_that_is_missing_is_named(tmp_path: Path) -> None:
    for experiment in {place.experiment for place in PLACES.values()}:
        shutil.copy(RESULTS / f"{experiment}.json", tmp_path)
    path = tmp_path / "release-sizes.json"
    kept = [record for record in read_results(path) if record.metric != "users"]
    path.unlink()
    write_results(path, kept)
    with pytest.raises(ValueError, match="release-sizes.json has no 'users' of '1 M pins'"):
        collect(tmp_path)

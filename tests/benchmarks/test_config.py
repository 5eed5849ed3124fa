"""Every shipped experiment is read, and what does not fit is refused with its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.config import (
    BASES,
    FOLDER,
    baseline_names,
    experiment_paths,
    merge,
    read_experiment,
)
from benchmarks.quality import EXPERIMENT
from homefeed.towers.config import check_together

SHIPPED = [*experiment_paths().values(), EXPERIMENT]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_experiment_is_read(path: Path) -> None:
    experiment, sections = read_experiment(path)
    assert list(sections) == list(experiment.configurations)
    for own in sections.values():
        check_together(own.towers, own.training)
        assert (own.ids is None) == (own.towers.ids is None)


@pytest.mark.parametrize("path", experiment_paths().values(), ids=lambda path: path.stem)
def test_every_experiment_has_all_baselines(path: Path) -> None:
    experiment, _ = read_experiment(path)
    names = ("popularity", "decayed popularity", "EASE", "iALS")
    assert baseline_names(experiment.baselines) == names


@pytest.mark.parametrize("path", experiment_paths().values(), ids=lambda path: path.stem)
def test_ablations_have_seeds_and_pairs(path: Path) -> None:
    experiment, _ = read_experiment(path)
    if path.stem.startswith("ablation-"):
        assert experiment.num_seeds >= 5
        assert experiment.comparisons


def test_no_base_is_left_over() -> None:
    used = {read_experiment(path)[0].base for path in SHIPPED}
    assert used == {path.stem for path in BASES.glob("*.yaml")}


def test_mappings_are_merged_and_other_kinds_replace() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": {"kind": "x", "e": 1}, "f": None}
    assert merge(base, {"a": {"c": [3]}}) == base | {"a": {"b": 1, "c": [3]}}
    assert merge(base, {"d": {"kind": "x", "g": 2}})["d"] == {"kind": "x", "e": 1, "g": 2}
    assert merge(base, {"d": {"kind": "y"}})["d"] == {"kind": "y"}
    assert merge(base, {"d": {"e": 3}})["d"] == {"kind": "x", "e": 3}
    assert merge(base, {"f": {"h": 1}, "a": None}) == base | {"f": {"h": 1}, "a": None}


def set_metric(raw: dict[str, Any]) -> None:
    raw["metrics"] = ["recall@ten"]


def set_base(raw: dict[str, Any]) -> None:
    raw["base"] = "large"


def set_section(raw: dict[str, Any]) -> None:
    raw["configurations"]["plain"] = {"towers": {"feild_dimension": 8}}


def set_ids(raw: dict[str, Any]) -> None:
    raw["configurations"]["plain"] = {"ids": "before"}


def set_comparison(raw: dict[str, Any]) -> None:
    raw["comparisons"] = [{"of": "plain", "to": "fancy"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_metric, "metrics has 'recall@ten'"),
        (set_base, "base 'large' is unknown; there are small"),
        (set_section, "configuration 'plain': .*feild_dimension"),
        (set_ids, "ids 'before' is unknown; id_tables has none"),
        (set_comparison, r"comparisons name \['fancy'\]; there are EASE, conditioned"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = folder / "small.yaml"
    raw = msgspec.yaml.decode(path.read_bytes())
    change(raw)
    path.write_bytes(msgspec.yaml.encode(raw))
    with pytest.raises(ValueError, match=message):
        read_experiment(path, folder / "bases")


def test_every_experiment_has_its_table() -> None:
    written = (FOLDER.parent / "docs" / "results.md").read_text("utf-8")
    for name in experiment_paths():
        assert f"<!-- results: {name} -->" in written

"""A whole experiment on the small log: run, interrupted, run again."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks.run import main, run_experiment
from homefeed.evaluation.results import read_results

BASELINES = ["popularity", "decayed popularity", "EASE", "iALS"]
CONFIGURATIONS = ["plain", "conditioned", "conditioned, filtered"]


def run(
    folder: Path, only: Sequence[str] = (), num_seeds: int | None = None, num_processes: int = 1
) -> Path:
    path, bases, work = folder / "small.yaml", folder / "bases", folder / "work"
    results = work.parent / "results"
    return run_experiment(path, work, results, only, num_seeds, bases, num_processes)


def test_an_experiment_is_run_once_and_reported(folder: Path) -> None:
    path = run(folder)
    records = read_results(path)
    cells = {(each.configuration, each.metric): each for each in records}
    names = list(dict.fromkeys(each.configuration for each in records))
    assert names == [
        *BASELINES,
        *CONFIGURATIONS,
        "conditioned − plain",
        "plain − EASE",
        "plain / popularity",
    ]
    for name in CONFIGURATIONS:
        record = cells[name, "recall@10"]
        assert record.n == 2 and record.low is not None and record.high is not None
        assert record.low <= record.value <= record.high
    for name in BASELINES:
        assert cells[name, "recall@10"].n == 1 and cells[name, "recall@10"].low is None
        assert (name, "on_topic@5") not in cells
    # One training serves both: what is not asked for an interest does not see the filter.
    assert (
        cells["conditioned", "recall@10"].value == cells["conditioned, filtered", "recall@10"].value
    )
    assert cells["conditioned, filtered", "on_topic@5"].value == 1.0
    assert cells["conditioned", "on_topic@5"].value < 1.0
    difference = cells["plain − EASE", "recall@10"].value
    expected = cells["plain", "recall@10"].value - cells["EASE", "recall@10"].value
    assert difference == pytest.approx(expected)
    ratio = cells["plain / popularity", "coverage@20"]
    assert ratio.unit == "ratio"
    expected = cells["plain", "coverage@20"].value / cells["popularity", "coverage@20"].value
    assert ratio.value == pytest.approx(expected)
    assert len(list((folder / "work").glob("towers-*"))) == 4
    assert len(list((folder / "work").glob("dataset-*"))) == 1


def test_what_was_run_is_not_run_again(folder: Path) -> None:
    run(folder, only=["plain", "EASE"], num_seeds=1)
    kept = {path: path.stat().st_mtime_ns for path in (folder / "work").rglob("*.npz")}
    assert len(kept) == 3
    path = run(folder, only=["plain", "EASE"], num_seeds=2)
    again = {path: path.stat().st_mtime_ns for path in (folder / "work").rglob("*.npz")}
    assert len(again) == 4
    assert again.items() >= kept.items()
    assert {each.configuration for each in read_results(path)} == {"plain", "EASE", "plain − EASE"}


def test_towers_trained_side_by_side_are_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = read_results(run(folder, only=["plain"]))
    (folder / "work").rename(folder / "earlier")
    beside = read_results(run(folder, only=["plain"], num_processes=2))
    assert capsys.readouterr().out.count("trained plain, seed") == 2
    assert [each.value for each in beside] == pytest.approx([each.value for each in alone])
    # And they are not trained again.
    run(folder, only=["plain"], num_processes=2)
    assert "trained" not in capsys.readouterr().out


def test_a_training_that_fails_beside_others_says_why(folder: Path) -> None:
    path = folder / "small.yaml"
    raw = msgspec.yaml.decode(path.read_bytes())
    raw["configurations"]["plain"] = {"training": {"objective": {"kind": "full_softmax"}}}
    path.write_bytes(msgspec.yaml.encode(raw))
    with pytest.raises(ValueError, match="scores the whole catalogue"):
        run(folder, only=["plain"], num_processes=2)


def test_other_sections_are_other_runs(folder: Path) -> None:
    run(folder, only=["plain"], num_seeds=1)
    base = folder / "bases" / "small.yaml"
    sections = msgspec.yaml.decode(base.read_bytes())
    sections["training"]["learning_rate"] = 0.01
    base.write_bytes(msgspec.yaml.encode(sections))
    run(folder, only=["plain"], num_seeds=1)
    assert len(list((folder / "work" / "runs").glob("*.json"))) == 2
    assert len(list((folder / "work").glob("dataset-*"))) == 1


def test_seeds_may_draw_the_split_anew(folder: Path) -> None:
    path = folder / "small.yaml"
    raw = msgspec.yaml.decode(path.read_bytes())
    raw |= {"is_resplit": True, "learned": "train", "metrics": ["recall@10"]}
    raw["shared"] = {"dataset": {"split": "random"}}
    path.write_bytes(msgspec.yaml.encode(raw))
    records = read_results(run(folder, only=["plain", "EASE"]))
    assert len(list((folder / "work").glob("dataset-*"))) == 2
    cells = {(each.configuration, each.metric): each for each in records}
    assert cells["EASE", "recall@10"].n == 2
    assert cells["plain − EASE", "recall@10"].n == 2


def test_unknown_names_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"small has no \['fancy'\]: there are popularity"):
        run(folder, only=["fancy"])
    with pytest.raises(SystemExit, match=r"no experiments \['ml1m-lucky'\]: there are ablation-"):
        main(["ml1m-lucky"])

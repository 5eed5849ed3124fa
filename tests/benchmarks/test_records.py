"""Differences of pairs on runs that are written by hand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.config import Comparison, Experiment
from benchmarks.records import make_records
from benchmarks.runs import Outcome


def write_run(
    folder: Path, name: str, seed: int, users: list[int], values: list[float], commit: str = "a"
) -> Outcome:
    path = folder / f"{name}{seed}.npz"
    recall = np.array(values)
    np.savez(path, users=np.array(users), **{"recall@10": recall})
    metrics = {"recall@10": float(np.nanmean(recall)), "coverage@10": seed / 10}
    return Outcome(
        configuration=name,
        seed=seed,
        metrics=metrics,
        about={},
        commit=commit,
        machine="m",
        users=str(path),
    )


def compare(is_ratio: bool = False) -> Experiment:
    return Experiment(
        title="",
        base="",
        configurations={"ours": {}, "theirs": {}},
        comparisons=(Comparison(of="ours", to="theirs", is_ratio=is_ratio),),
    )


def test_users_are_paired_by_seed_and_index(tmp_path: Path) -> None:
    runs = {
        "ours": [
            write_run(tmp_path, "ours", 1, [1, 2, 3], [0.5, 1.0, np.nan], "b"),
            write_run(tmp_path, "ours", 2, [1, 2, 4], [0.7, 1.0, 0.0]),
        ],
        # Seeds in another order, and other users: what is not of all is left out.
        "theirs": [
            write_run(tmp_path, "theirs", 2, [1, 2, 4], [0.2, 0.9, 0.9]),
            write_run(tmp_path, "theirs", 1, [1, 2, 3], [0.1, 0.8, 0.3]),
        ],
    }
    records = make_records("e", compare(), runs)
    found = {(each.configuration, each.metric): each for each in records}
    record = found["ours − theirs", "recall@10"]
    assert record.value == pytest.approx(np.mean([0.4, 0.2, 0.5, 0.1]))
    assert record.n == 2 and record.commit == "a, b"
    # Coverage is not of users: 0.1 and 0.2 on both sides.
    assert found["ours − theirs", "coverage@10"].value == 0
    assert found["ours", "coverage@10"].value == pytest.approx(0.15)


def test_one_run_stands_beside_all_of_the_other_side(tmp_path: Path) -> None:
    ours = [write_run(tmp_path, "ours", seed, [1, 2], [0.2 * seed, 0.4]) for seed in (1, 2)]
    theirs = [write_run(tmp_path, "theirs", 1, [1, 2], [0.1, 0.1])]
    records = make_records("e", compare(is_ratio=True), {"ours": ours, "theirs": theirs})
    (record,) = (
        each
        for each in records
        if each.configuration == "ours / theirs" and each.metric == "recall@10"
    )
    assert record.unit == "ratio" and record.n == 2
    assert record.value == pytest.approx((3 + 4) / 2)


def test_a_side_that_was_not_run_is_left_out(tmp_path: Path) -> None:
    ours = [write_run(tmp_path, "ours", 1, [1], [0.5])]
    records = make_records("e", compare(), {"ours": ours})
    assert {each.configuration for each in records} == {"ours"}

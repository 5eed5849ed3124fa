"""Trainings are timed by configuration."""

from pathlib import Path

import pytest
import torch

from benchmarks.config import BASES
from benchmarks.throughput import FILE, NAME, measure_throughput

PLAN = """
title: Small
base: small
num_repeats: 1
shared: {training: {max_epochs: 1, refit: false}}
configurations:
  one: {}
  two: {num_processes: 2}
  none: {needs_gpu: true}
"""


def test_speed_and_parts_of_the_time_are_recorded(folder: Path) -> None:
    file = folder / "throughput.yaml"
    file.write_text(PLAN)
    records = list(measure_throughput(folder / "work", file, folder / "bases"))
    cells = {(each.configuration, each.metric): each for each in records}
    names = ["one", "two", *["none"] * torch.cuda.is_available()]
    assert list(dict.fromkeys(name for name, _ in cells)) == names
    for name in names:
        assert cells[name, "training speed"].value > 0
        shares = [cells[name, part].value for part in ("data", "forward", "backward", "optimizer")]
        assert sum(shares) == pytest.approx(1.0)
    assert {each.experiment for each in records} == {NAME}
    assert {path.name.split("-")[0] for path in (folder / "work").iterdir()} == {
        "dataset",
        "events",
    }


def test_what_is_timed_has_its_base() -> None:
    assert "base: ml1m_time\n" in FILE.read_text()
    assert (BASES / "ml1m_time.yaml").is_file()

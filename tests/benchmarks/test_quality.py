"""A short training of each part of the model still reaches its bar; see `benchmarks.quality`."""

from pathlib import Path

import pytest

from benchmarks.config import read_experiment
from benchmarks.quality import EXPERIMENT, Bar, find_losses, read_bars
from benchmarks.runs import Runs

SEED = 1


def test_a_value_below_its_tolerance_is_a_loss() -> None:
    bar = Bar(experiment="e", configuration="c", metric="m@1", value=0.5, tolerance=0.1, n=5)
    assert find_losses([bar], {"c": {"m@1": 0.41}}) == []
    assert find_losses([bar], {"c": {"m@1": 0.39}}) == ["c: m@1 is 0.3900, below 0.5000 - 0.1000"]


def test_bars_are_those_of_the_experiment() -> None:
    experiment, _ = read_experiment(EXPERIMENT)
    expected = [
        (name, metric) for name in experiment.configurations for metric in experiment.metrics
    ]
    assert [(bar.configuration, bar.metric) for bar in read_bars()] == expected


@pytest.mark.slow
def test_no_quality_is_lost(tmp_path: Path) -> None:
    experiment, sections = read_experiment(EXPERIMENT)
    runs = Runs(tmp_path)
    measured = {
        name: runs.towers(name, experiment, own, SEED).metrics for name, own in sections.items()
    }
    losses = find_losses(read_bars(), measured)
    assert not losses, losses

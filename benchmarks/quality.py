"""The bar: what short trainings reach, so that no later change loses quality unseen.

`python -m benchmarks.quality` trains `quality.yaml` with all of its seeds and writes
`quality.json`; `tests/benchmarks/test_quality.py` trains it with one and compares. Write it again
only after a change that is meant to change quality, and say so in its commit.
"""

from pathlib import Path

import msgspec
import numpy as np

from benchmarks.config import FOLDER, read_experiment
from benchmarks.run import WORK
from benchmarks.runs import Runs

EXPERIMENT = FOLDER / "quality.yaml"
BARS = FOLDER / "quality.json"
DEVIATIONS = 3.0
"""Of the seeds, that a measured value may lie below the mean."""
SMALLEST_TOLERANCE = 0.003
"""Machines round differently, which few seeds on one of them may not show."""


class Bar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mean of a metric over `n` seeds, and how far below it a single one may lie."""

    experiment: str
    configuration: str
    metric: str
    value: float
    tolerance: float
    n: int


def make_bars(work: Path) -> list[Bar]:
    """Trains all configurations with all seeds."""
    experiment, sections = read_experiment(EXPERIMENT)
    runs, bars = Runs(work), []
    for name, own in sections.items():
        seeds = range(1, experiment.num_seeds + 1)
        outcomes = [runs.towers(name, experiment, own, seed) for seed in seeds]
        for metric in experiment.metrics:
            values = np.array([outcome.metrics[metric] for outcome in outcomes])
            tolerance = max(DEVIATIONS * float(values.std(ddof=1)), SMALLEST_TOLERANCE)
            bars.append(
                Bar(
                    experiment=EXPERIMENT.stem,
                    configuration=name,
                    metric=metric,
                    value=round(float(values.mean()), 5),
                    tolerance=round(tolerance, 5),
                    n=len(values),
                )
            )
    return bars


def read_bars() -> list[Bar]:
    """The bars as they stand."""
    return msgspec.json.decode(BARS.read_bytes(), type=list[Bar])


def find_losses(bars: list[Bar], measured: dict[str, dict[str, float]]) -> list[str]:
    """What fell below its bar, a line each.

    Args:
        bars: what is to be reached.
        measured: metrics by configuration.
    """
    return [
        f"{bar.configuration}: {bar.metric} is {measured[bar.configuration][bar.metric]:.4f}, "
        f"below {bar.value:.4f} - {bar.tolerance:.4f}"
        for bar in bars
        if measured[bar.configuration][bar.metric] < bar.value - bar.tolerance
    ]


def main() -> None:
    """Writes the bars again."""
    text = msgspec.json.format(msgspec.json.encode(make_bars(WORK)), indent=2)
    BARS.write_bytes(text + b"\n")


if __name__ == "__main__":
    main()

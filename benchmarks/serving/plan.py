"""What is measured, how often and for how long; and records of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.intervals import over_repeats
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import Record

COMMAND = "make bench-serving"
RATIO = "ratio"


class Corpus(NamedTuple):
    """Pins to recommend; None are those of MovieLens-1M alone."""

    title: str
    num_pins: int | None


CORPORA = (Corpus("3.7 k pins", None), Corpus("1 M pins", 1_000_000))


class Plan(NamedTuple):
    """How much is measured."""

    num_repeats: int = 6
    """Six are the fewest whose median has an interval."""
    seconds: float = 3.0
    """Of load, for each configuration in each repeat."""
    connections: tuple[int, ...] = (1, 4, 16, 64)
    num_users: int = 1000
    num_searches: int = 100
    """Of each kind in each repeat, one at a time."""


def make_record(
    experiment: str, configuration: str, metric: str, unit: str, values: Sequence[float]
) -> Record:
    """The median of what the repeats gave."""
    estimate = over_repeats(np.array(values))
    return Record(
        experiment=experiment,
        configuration=configuration,
        metric=metric,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=len(values),
        unit=unit,
        command=COMMAND,
        commit=commit(),
        machine=machine(),
    )


def ratio_record(
    experiment: str,
    configuration: str,
    metric: str,
    values: Sequence[float],
    others: Sequence[float],
) -> Record:
    """The median of the ratios within each repeat."""
    ratios = [value / other for value, other in zip(values, others, strict=True)]
    return make_record(experiment, configuration, metric, RATIO, ratios)

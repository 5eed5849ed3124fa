"""Figures of a load, and records of what repeats gave."""

from collections.abc import Sequence

import numpy as np

from benchmarks.intervals import over_repeats
from benchmarks.serving.load import Load
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import Record

COMMAND = "make bench-serving"
P50, P99, THROUGHPUT, ERRORS = "p50", "p99", "throughput", "errors"
GENERATOR = "generator"
"""Share of one core that the load generator took."""
UNITS = {P50: "ms", P99: "ms", THROUGHPUT: "requests/s", ERRORS: "", GENERATOR: "CPU share"}


def describe(load: Load) -> dict[str, float]:
    """What a load came to, by metric.

    Raises:
        RuntimeError: nothing was answered; says what went wrong.
    """
    if not load.seconds:
        raise RuntimeError(
            f"no request was answered as it should be, in {load.elapsed:.1f} seconds: "
            f"{dict(load.errors)}; the servers' logs in the work folder say more"
        )
    p50, p99 = np.percentile(load.seconds, (50, 99)) * 1000
    return {
        P50: float(p50),
        P99: float(p99),
        THROUGHPUT: len(load.seconds) / load.elapsed,
        ERRORS: float(load.errors.total()),
        GENERATOR: load.cpu_seconds / load.elapsed,
    }


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
    return make_record(experiment, configuration, metric, "ratio", ratios)

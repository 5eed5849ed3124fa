"""`summary.json`: the figures of a demonstration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from homefeed import __version__
from homefeed.cli.latency import Latency
from homefeed.contracts import iso, read_manifest
from homefeed.dataset.layout import DATASET
from homefeed.evaluation.layout import Evaluation, Metrics
from homefeed.evaluation.provenance import commit, machine
from homefeed.events.layout import ENGAGEMENTS_FILE
from pipelines.local import LocalRun, StageUsage

SUMMARY_FILE = "summary.json"


class DatasetFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the data set, and when its splits begin and end (ISO 8601, UTC, half-open)."""

    num_engagements: int
    num_users: int
    num_pins: int
    num_examples: dict[str, int]
    windows: dict[str, tuple[str, str]]
    split: str
    num_warm_users: int
    """Users that the metrics are a mean over."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    recipe: str
    release_version: str
    homefeed_version: str = __version__
    commit: str
    machine: str
    dataset: DatasetFigures
    metrics: dict[str, Metrics]
    """Of the model and of each baseline, on the same users and pins."""
    ann_recall: Metrics
    latency: Latency
    stages: Sequence[StageUsage]
    total_seconds: float
    """From the start of the command to the last answer."""


def summarise(
    recipe: str, run: LocalRun, evaluation: Evaluation, latency: Latency, total_seconds: float
) -> Summary:
    """Collects the figures of a demonstration."""
    return Summary(
        recipe=recipe,
        release_version=evaluation.release_version,
        commit=commit(),
        machine=machine(),
        dataset=_count(run.dataset, evaluation),
        metrics=evaluation.recommenders,
        ann_recall=evaluation.ann_recall,
        latency=latency,
        stages=run.stages,
        total_seconds=round(total_seconds, 1),
    )


def _count(dataset: Path, evaluation: Evaluation) -> DatasetFigures:
    details: dict[str, Any] = read_manifest(dataset, DATASET).details
    return DatasetFigures(
        num_engagements=pq.read_metadata(dataset / ENGAGEMENTS_FILE).num_rows,
        num_users=details["num_users"],
        num_pins=details["num_pins"],
        num_examples=details["num_examples"],
        windows={
            split: (iso(start), iso(end)) for split, (start, end) in details["windows"].items()
        },
        split=evaluation.split,
        num_warm_users=evaluation.population.num_users,
    )

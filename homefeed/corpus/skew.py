"""Whether statistics mean in the corpus what they meant in training.

The towers learn what a statistic's value stands for from training rows; the corpus computes it
anew. Counted by another id, window or weight there, it shifts the input of every pin, and no error
is raised: in the source system, training counted by fine image signatures and the corpus by coarse
ones ("Advancements in Embedding-Based Retrieval at Pinterest Homefeed", 2025).

Compared are the values of the same pins, each in its last training row and in the corpus. In
between a statistic fades and grows; one whose half-life is short against that time differs on sound
data too, so it is reported and not judged.
"""

from pathlib import Path
from typing import NamedTuple

import ibis
import msgspec
import numpy as np
from ibis import _

from homefeed.contracts import Column, Manifest, read_manifest
from homefeed.corpus.config import SkewConfig
from homefeed.corpus.layout import CORPUS, CORPUS_FILE
from homefeed.dataset.layout import (
    DATASET,
    EXAMPLES_FOLDER,
    PIN_INDEX,
    TRAIN,
    VALIDATION,
)
from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.engine import open_engine
from homefeed.events.layout import PINS_FILE
from homefeed.features.config import FeaturesConfig

NUM_BINS = 10
LEAST_SHARE = 1e-3
"""Of a bin, in the population stability index: an empty one would make it infinite."""


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """One statistic in training rows and in the corpus.

    Attributes:
        feature: the statistic's column.
        num_pins: pins that were compared.
        psi: population stability index over deciles of the training side.
        ks: largest difference of the two distribution functions (Kolmogorov-Smirnov).
        ratio: mean of the corpus over the mean of training.
        is_judged: whether it is stable enough for the limits.
        is_skewed: whether it is judged, and beyond one of the limits.
        edges: borders of the bins, `[bins - 1]`.
        training: share of the training values in each bin, `[bins]`.
        corpus: share of the corpus' values in each bin, `[bins]`.
    """

    feature: str
    num_pins: int
    psi: float
    ks: float
    ratio: float
    is_judged: bool
    is_skewed: bool
    edges: tuple[float, ...]
    training: tuple[float, ...]
    corpus: tuple[float, ...]


class Histogram(NamedTuple):
    """Shares of two samples in the bins of the first one's quantiles."""

    edges: np.ndarray
    first: np.ndarray
    second: np.ndarray


def find_skew(
    dataset: Path, corpus: Path, features: FeaturesConfig, config: SkewConfig
) -> list[Skew]:
    """Compares every statistic; none where no pin of the corpus has a recent training row.

    A data set for serving alone has no rows either: its corpus is selected by the same code, and
    was compared when its towers were trained.

    Args:
        dataset: the dataset artifact.
        corpus: the corpus artifact that was selected from it.
        features: the features section of a recipe.
        config: the limits.
    """
    if not (dataset / EXAMPLES_FOLDER).is_dir():
        return []
    as_of = read_manifest(dataset, DATASET).details["serving_time"]
    columns = features.statistics.columns
    with open_engine(corpus) as engine:
        parts = [
            engine.read(dataset / EXAMPLES_FOLDER / split / "*.parquet").select(
                PIN_INDEX, Column.TIMESTAMP, Column.EVENT_ID, *columns
            )
            for split in (TRAIN, VALIDATION)
        ]
        recent = ibis.union(*parts).filter(
            (_.timestamp < as_of) & (_.timestamp >= as_of - config.recent_days * SECONDS_A_DAY)
        )
        newest_first = [_.timestamp.desc(), _.event_id.desc()]
        place = ibis.row_number().over(group_by=PIN_INDEX, order_by=newest_first)
        last = recent.mutate(place=place).filter(_.place == 0)
        numbers = engine.read(dataset / PINS_FILE).select(Column.PIN_ID, PIN_INDEX)
        served = engine.read(corpus / CORPUS_FILE).join(numbers, Column.PIN_ID)
        pairs = last.join(served, PIN_INDEX, rname="{name}_served")
        wanted = [name for own in columns for name in (own, f"{own}_served")]
        found = pairs.select(*wanted).to_pyarrow()
    if not found.num_rows:
        return []
    return [
        _compare(
            column,
            found[column].to_numpy(),
            found[f"{column}_served"].to_numpy(),
            half_life == 0 or half_life >= config.recent_days,
            config,
        )
        for column, half_life in zip(columns, features.statistics.half_life_days, strict=True)
    ]


def refuse_skew(skews: list[Skew], dataset: Path, corpus: Path, config: SkewConfig) -> None:
    """Stops where a statistic is beyond the limits.

    Raises:
        ValueError: names the statistics, how far they are off, and what may be the cause.
    """
    skewed = [each for each in skews if each.is_skewed]
    if not skewed:
        return
    sides = [read_manifest(dataset, DATASET), read_manifest(corpus, CORPUS)]
    lines = [
        f"statistics of the corpus {corpus} are not those that training saw, beyond "
        f"corpus.skew.max_psi={config.max_psi:g}, max_ks={config.max_ks:g} or "
        f"max_ratio={config.max_ratio:g}:",
        *(
            f"  {each.feature}: PSI {each.psi:.3f}, KS {each.ks:.3f}, in the corpus "
            f"{each.ratio:.2f} times as large, over {each.num_pins:,} pins"
            for each in skewed
        ),
        _cause(*sides),
    ]
    raise ValueError("\n".join(lines))


def population_stability(histogram: Histogram) -> float:
    """Sum of `(q - p) ln(q / p)` over the bins: below .1 alike, above .25 another population."""
    first, second = (np.maximum(side, LEAST_SHARE) for side in histogram[1:])
    return float(((second - first) * np.log(second / first)).sum())


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference of two samples' distribution functions."""
    values = np.concatenate([first, second])
    below = [
        np.searchsorted(np.sort(side), values, side="right") / len(side) for side in (first, second)
    ]
    return float(np.abs(below[0] - below[1]).max())


def make_histogram(first: np.ndarray, second: np.ndarray) -> Histogram:
    """Bins by the first sample's deciles; equal deciles make fewer bins."""
    edges = np.unique(np.quantile(first, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1)
        / len(side)
        for side in (first, second)
    ]
    return Histogram(edges, *shares)


def _compare(
    feature: str, training: np.ndarray, corpus: np.ndarray, is_stable: bool, config: SkewConfig
) -> Skew:
    histogram = make_histogram(training, corpus)
    psi, ks = population_stability(histogram), kolmogorov_smirnov(training, corpus)
    ratio = float(corpus.mean() / training.mean()) if training.any() else 1.0
    is_off = not 1 / config.max_ratio <= ratio <= config.max_ratio
    is_judged = is_stable and len(training) >= config.min_pins
    return Skew(
        feature=feature,
        num_pins=len(training),
        psi=psi,
        ks=ks,
        ratio=ratio,
        is_judged=is_judged,
        is_skewed=is_judged and (psi > config.max_psi or ks > config.max_ks or is_off),
        edges=tuple(histogram.edges.tolist()),
        training=tuple(histogram.first.tolist()),
        corpus=tuple(histogram.second.tolist()),
    )


def _cause(dataset: Manifest, corpus: Manifest) -> str:
    if dataset.granularity != corpus.granularity:
        return (
            f"Training counted by {dataset.granularity}, the corpus by {corpus.granularity}: leave "
            "corpus.granularity out, or set features.granularity to the same and train again"
        )
    return (
        "Both count by the same id. Look for events that one side lacks, such as late ones or a "
        "changed filter, and for a burst or a gap at the end of the log"
    )

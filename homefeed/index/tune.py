"""Chooses how far an approximate index is searched: no further than recall demands."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from homefeed.index.approximate import ApproximateIndex
from homefeed.index.config import IndexConfig
from homefeed.index.gate import Gate
from homefeed.index.postings import Postings, Subset

PROBE_SHARES = (0.03, 0.06, 0.12, 0.25)
"""Shares of the lists that a search visits: the first one that finds enough is taken."""
NUM_QUERIES = 500
NUM_QUERIES_UNDER_FILTER = 50
"""Near the filter's own pins, and as many near others: there may be hundreds of filters."""


class Tuning(NamedTuple):
    """How far to search, and the recall that this was measured to have."""

    num_probes: int
    num_filtered_probes: int
    scan_up_to: int
    recall: float
    filtered_recall: float
    """The lowest of any interest that is not scanned, from its own queries or from others'."""


class _Filter:
    """One interest, asked for near its own pins and far from them."""

    def __init__(self, vectors: np.ndarray, subset: Subset, k: int) -> None:
        self.num_rows = subset.num_rows
        mask = subset.mask()
        self._gates = [
            Gate(vectors, subset, np.flatnonzero(near), NUM_QUERIES_UNDER_FILTER, k)
            for near in (mask, ~mask)
        ]

    def recall(self, approximate: ApproximateIndex) -> float:
        return min(gate.recall(approximate) for gate in self._gates)


def tune(
    index: Path, num_lists: int, vectors: np.ndarray, postings: Postings, config: IndexConfig
) -> Tuning:
    """Finds the fewest lists with which recall is high enough, without and under filters.

    A filter that would need too many is scanned: `scan_up_to` is raised to its number of pins.

    Args:
        index: what `train_ivf` wrote.
        num_lists: its inverted lists.
        vectors: float32 [num_pins, D].
        postings: of the same rows.
        config: the index section of a recipe.

    Raises:
        ValueError: recall without a filter stays below `config.min_recall`.
    """
    probes = [max(1, round(share * num_lists)) for share in PROBE_SHARES]
    num_pins = len(vectors)
    everything = Subset((range(num_pins),), num_pins)
    gate = Gate(vectors, everything, np.arange(num_pins), NUM_QUERIES, config.recall_k)
    recall = 0.0
    for place, num_probes in enumerate(probes):
        recall = gate.recall(ApproximateIndex.load(index, vectors, num_probes, num_probes))
        if recall >= config.min_recall:
            filtered = _tune_filters(index, probes[place:], vectors, postings, config)
            return Tuning(num_probes, *filtered[:2], recall, filtered[2])
    raise ValueError(
        f"recall@{config.recall_k} against exact search is {recall:.3f} on {num_pins} pins even "
        f"when {PROBE_SHARES[-1]:.0%} of the lists are searched; min_recall={config.min_recall}. "
        "Lower index.min_recall, or serve exactly with index.kind: flat"
    )


def _tune_filters(
    index: Path, probes: list[int], vectors: np.ndarray, postings: Postings, config: IndexConfig
) -> tuple[int, int, float]:
    """Lists to search under a filter, the most pins to scan, and the recall of the others."""
    subsets = [postings.subset(postings.codes((name,))) for name in postings.interests]
    filters = [
        _Filter(vectors, subset, config.recall_k)
        for subset in subsets
        # Where all pins have the interest, it is no filter.
        if subset.num_rows > config.scan_up_to and not subset.is_whole
    ]
    for num_probes in probes[:-1]:
        approximate = ApproximateIndex.load(index, vectors, num_probes, num_probes)
        lowest = 1.0
        for each in filters:
            lowest = min(lowest, each.recall(approximate))
            if lowest < config.min_filtered_recall:
                break
        else:
            return num_probes, config.scan_up_to, lowest
    approximate = ApproximateIndex.load(index, vectors, probes[-1], probes[-1])
    recalls = {each: each.recall(approximate) for each in filters}
    scan_up_to = max(
        (each.num_rows for each in filters if recalls[each] < config.min_filtered_recall),
        default=config.scan_up_to,
    )
    left = [recalls[each] for each in filters if each.num_rows > scan_up_to]
    return probes[-1], scan_up_to, min(left, default=1.0)

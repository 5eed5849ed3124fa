"""Chooses how far an approximate index is searched: no further than recall demands."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from homefeed.index.approximate import REFINE_FACTOR, ApproximateIndex, Effort
from homefeed.index.config import IndexConfig
from homefeed.index.gate import Gate
from homefeed.index.postings import Postings, Subset

PROBE_SHARES = (0.03, 0.06, 0.12, 0.25)
"""Shares of the lists that a search visits: the first one that finds enough is taken."""
REFINE_FACTORS = (REFINE_FACTOR, 20, 40, 80)
"""Candidates by codes for each pin under a filter. Far from a filter's pins all scores are nearly
equal, and the codes tell them apart less well than near: there more lists find no more, more
candidates do."""
FEW = 0.2
"""Recall under a filter must be high for so small a share of `recall_k` too: a filter that leaves
the lists half empty is scanned for many pins, and not for few."""
CODES_PER_LIST = 10
"""To refine so many candidates takes as long as to search a list."""
NUM_QUERIES = 500
NUM_QUERIES_UNDER_FILTER = 100
"""Near the filter's own pins, as many near others and from anywhere: there may be hundreds of
filters."""


class Tuning(NamedTuple):
    """How far to search, and the recall that this was measured to have."""

    num_probes: int
    num_filtered_probes: int
    filtered_refine_factor: int
    """Both of several interests: the largest that any by itself needs."""
    filtered_efforts: dict[str, tuple[int, int]]
    """By interest that is not scanned: its own probes and factor."""
    scan_up_to: int
    recall: float
    filtered_recall: float
    """The lowest of any interest that is not scanned, whatever the queries are near to."""


def tune(
    index: Path, num_lists: int, vectors: np.ndarray, postings: Postings, config: IndexConfig
) -> Tuning:
    """Finds the least effort with which recall is high enough, without and under each filter.

    A filter that would need too much is scanned: `scan_up_to` is raised to its number of pins.

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
    approximate = ApproximateIndex.load(index, vectors)
    recall = 0.0
    for place, num_probes in enumerate(probes):
        recall = gate.recall(approximate, Effort(num_probes))
        if recall >= config.min_recall:
            filtered = _tune_filters(approximate, probes[place:], vectors, postings, config)
            return Tuning(num_probes=num_probes, recall=recall, **filtered)
    raise ValueError(
        f"recall@{config.recall_k} against exact search is {recall:.3f} on {num_pins} pins even "
        f"when {PROBE_SHARES[-1]:.0%} of the lists are searched; min_recall={config.min_recall}. "
        "Lower index.min_recall, or serve exactly with index.kind: flat"
    )


def _tune_filters(
    approximate: ApproximateIndex,
    probes: list[int],
    vectors: np.ndarray,
    postings: Postings,
    config: IndexConfig,
) -> dict[str, Any]:
    """What `Tuning` says of filters."""
    efforts = sorted(
        (
            Effort(num_probes, factor, config.recall_k)
            for factor in REFINE_FACTORS
            for num_probes in probes
        ),
        key=lambda each: CODES_PER_LIST * each.num_probes + each.num_codes(config.recall_k, 0),
    )
    scan_up_to, lowest = config.scan_up_to, 1.0
    found: dict[str, Effort] = {}
    for name in postings.interests:
        subset = postings.subset(postings.codes((name,)))
        # Where all pins have the interest, it is no filter.
        if subset.num_rows <= config.scan_up_to or subset.is_whole:
            continue
        gates = _gates(vectors, subset, config.recall_k)
        for effort in efforts:
            recall = _lowest_recall(gates, approximate, effort, config)
            if recall >= config.min_filtered_recall:
                found[name] = effort
                lowest = min(lowest, recall)
                break
        else:
            scan_up_to = max(scan_up_to, subset.num_rows)
    return {
        "num_filtered_probes": max([probes[0], *(each.num_probes for each in found.values())]),
        "filtered_refine_factor": max(
            [REFINE_FACTOR, *(each.refine_factor for each in found.values())]
        ),
        "filtered_efforts": {
            name: (each.num_probes, each.refine_factor) for name, each in found.items()
        },
        "scan_up_to": scan_up_to,
        "filtered_recall": lowest,
    }


def _gates(vectors: np.ndarray, subset: Subset, k: int) -> list[Gate]:
    """A filter, asked for near its own pins, far from them, and from anywhere.

    Far from them fails sooner than near. From anywhere is for towers whose users lie outside the
    cone of their pins: what is best for such users is at the edge of it, in few of the lists.
    """
    mask = subset.mask()
    places = (np.flatnonzero(~mask), None, np.flatnonzero(mask))
    return [Gate(vectors, subset, near, NUM_QUERIES_UNDER_FILTER, k) for near in places]


def _lowest_recall(
    gates: list[Gate], approximate: ApproximateIndex, effort: Effort, config: IndexConfig
) -> float:
    """The lowest recall of all gates, for few pins and for many, or the first one below the bar."""
    lowest = 1.0
    for num_wanted in (math.ceil(FEW * config.recall_k), config.recall_k):
        for gate in gates:
            lowest = min(lowest, gate.recall(approximate, effort, num_wanted))
            if lowest < config.min_filtered_recall:
                return lowest
    return lowest

"""Chooses how far an approximate index is searched: no further than recall demands."""

from typing import NamedTuple

import numpy as np

from homefeed.index.approximate import ApproximateIndex, Effort
from homefeed.index.config import IndexConfig
from homefeed.index.gate import Gate
from homefeed.index.postings import Postings, Subset
from homefeed.index.tune_filters import FilterTuning, tune_filters
from homefeed.index.user_embeddings import UserEmbeddings, sample

PROBE_SHARES = (0.03, 0.06, 0.12, 0.25)
"""Shares of the lists that a search visits: the first one that finds enough is taken."""
NUM_QUERIES = 500


class Tuning(NamedTuple):
    """How far to search, and the recall that this was measured to have."""

    num_probes: int
    recall: float
    """Without a filter."""
    filtered: FilterTuning


def tune(
    approximate: ApproximateIndex,
    num_lists: int,
    vectors: np.ndarray,
    postings: Postings,
    users: UserEmbeddings,
    config: IndexConfig,
) -> Tuning:
    """Finds the least effort with which users find enough, without and under each filter.

    Args:
        approximate: the index.
        num_lists: its inverted lists.
        vectors: float32 [num_pins, D].
        postings: of the same rows.
        users: whose vectors ask.
        config: the index section of a recipe.

    Raises:
        ValueError: recall without a filter stays below `config.min_recall`.
    """
    probes = [max(1, round(share * num_lists)) for share in PROBE_SHARES]
    num_pins = len(vectors)
    everything = Subset((range(num_pins),), num_pins)
    gate = Gate(vectors, everything, sample(users.vectors, NUM_QUERIES), config.recall_k)
    recall = 0.0
    for place, num_probes in enumerate(probes):
        recall, at_least = gate.recall(approximate, Effort(num_probes))
        if at_least >= config.min_recall:
            filtered = tune_filters(approximate, probes[place:], vectors, postings, users, config)
            return Tuning(num_probes, recall, filtered)
    raise ValueError(
        f"recall@{config.recall_k} against exact search is {recall:.3f} on {num_pins} pins even "
        f"when {PROBE_SHARES[-1]:.0%} of the lists are searched; min_recall={config.min_recall}. "
        "Lower index.min_recall, or serve exactly with index.kind: flat"
    )

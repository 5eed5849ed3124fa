"""Chooses how far an approximate index is searched under filters, and which are scanned."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from homefeed.index.approximate import REFINE_FACTOR, ApproximateIndex, Effort
from homefeed.index.config import IndexConfig
from homefeed.index.gate import Gate
from homefeed.index.postings import Postings, Subset
from homefeed.index.unions import choose_unions
from homefeed.index.user_embeddings import UserEmbeddings, sample

REFINE_FACTORS = (REFINE_FACTOR, 20, 40, 80)
"""Candidates by codes for each pin under a filter. Far from a filter's pins all scores are nearly
equal, and the codes tell them apart less well than near: there more lists find no more, more
candidates do."""
FEW = 0.2
"""Recall under a filter must be high for so small a share of `recall_k` too: a filter that leaves
the lists half empty is scanned for many pins, and not for few."""
CODES_PER_LIST = 10
"""To refine so many candidates takes as long as to search a list."""
NO_EFFORT = Effort(0, 0)
NUM_QUERIES = 300
"""Of each kind of users: there may be hundreds of filters."""


class FilterTuning(NamedTuple):
    """How far to search under filters, and the recall that this was measured to have."""

    num_filtered_probes: int
    filtered_refine_factor: int
    """Both of several interests: as large as any by itself, or any union that was tried, needs."""
    filtered_efforts: dict[str, tuple[int, int]]
    """By interest that is not scanned: its own probes and factor."""
    scan_up_to: int
    filtered_recall: float
    """The lowest of any interest that is not scanned, whoever asks for it."""
    num_unions: int
    """That were tried and are not scanned."""
    union_recall: float
    """The lowest of these."""


class _Found(NamedTuple):
    effort: Effort
    recall: float


def tune_filters(
    approximate: ApproximateIndex,
    probes: Sequence[int],
    vectors: np.ndarray,
    postings: Postings,
    users: UserEmbeddings,
    config: IndexConfig,
) -> FilterTuning:
    """Finds the least effort with which users find enough under each interest and some unions.

    A filter that would need too much is scanned: `scan_up_to` is raised to its number of pins.

    Args:
        approximate: the index.
        probes: how many lists may be searched, the fewest first.
        vectors: float32 [num_pins, D].
        postings: of the same rows.
        users: whose vectors ask.
        config: the index section of a recipe.
    """
    tuner = _Tuner(approximate, probes, vectors, config)
    scan_up_to = config.scan_up_to
    single: dict[str, _Found] = {}
    for name in postings.interests:
        subset = postings.subset(postings.codes((name,)))
        # Where all pins have the interest, it is no filter.
        if subset.num_rows <= config.scan_up_to or subset.is_whole:
            continue
        if (found := tuner.find(subset, users.kinds(name))) is not None:
            single[name] = found
        else:
            scan_up_to = max(scan_up_to, subset.num_rows)
    effort = Effort(
        max([probes[0], *(each.effort.num_probes for each in single.values())]),
        max([REFINE_FACTOR, *(each.effort.refine_factor for each in single.values())]),
    )
    unions: list[tuple[int, float]] = []
    for codes in choose_unions(postings, users.follows, scan_up_to):
        subset = postings.subset(codes)
        if (found := tuner.find(subset, users.kinds(), effort)) is not None:
            effort = found.effort
            unions.append((subset.num_rows, found.recall))
        else:
            scan_up_to = subset.num_rows
    searched = [recall for num_rows, recall in unions if num_rows > scan_up_to]
    return FilterTuning(
        num_filtered_probes=effort.num_probes,
        filtered_refine_factor=effort.refine_factor,
        filtered_efforts={
            name: (each.effort.num_probes, each.effort.refine_factor)
            for name, each in single.items()
        },
        scan_up_to=scan_up_to,
        filtered_recall=min([1.0, *(each.recall for each in single.values())]),
        num_unions=len(searched),
        union_recall=min([1.0, *searched]),
    )


class _Tuner:
    """Finds the least effort for one filter after the other."""

    def __init__(
        self,
        approximate: ApproximateIndex,
        probes: Sequence[int],
        vectors: np.ndarray,
        config: IndexConfig,
    ) -> None:
        self._approximate = approximate
        self._vectors = vectors
        self._config = config
        k = config.recall_k
        self._efforts = sorted(
            (Effort(num_probes, factor, k) for factor in REFINE_FACTORS for num_probes in probes),
            key=lambda each: CODES_PER_LIST * each.num_probes + each.num_codes(k, 0),
        )

    def find(
        self, subset: Subset, kinds: Sequence[np.ndarray], least: Effort = NO_EFFORT
    ) -> _Found | None:
        """The first effort with which each kind of users finds enough; None where none does.

        Args:
            subset: the rows that pass the filter.
            kinds: vectors [Q, D] of each kind of users.
            least: efforts with fewer lists or candidates are not tried.
        """
        gates = [
            Gate(self._vectors, subset, sample(kind, NUM_QUERIES), self._config.recall_k)
            for kind in kinds
        ]
        for effort in self._efforts:
            if effort.num_probes < least.num_probes or effort.refine_factor < least.refine_factor:
                continue
            if (recall := self._lowest_recall(gates, effort)) is not None:
                return _Found(effort, recall)
        return None

    def _lowest_recall(self, gates: Sequence[Gate], effort: Effort) -> float | None:
        """The lowest recall of all gates, for many pins and for few; None if one is too low."""
        lowest = 1.0
        for num_wanted in (self._config.recall_k, math.ceil(FEW * self._config.recall_k)):
            for gate in gates:
                recall = gate.recall(self._approximate, effort, num_wanted)
                if recall.at_least < self._config.min_filtered_recall:
                    return None
                lowest = min(lowest, recall.mean)
        return lowest

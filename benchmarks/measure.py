"""Metrics by name, one value a user.

`recall@k`, `ndcg@k`, `hit@k` and `coverage@k` are those of `homefeed.ranking.metrics`,
`diversity@k` is `homefeed.ranking.diversity`'s over interests. The others are of users who are
asked for each interest of what they are to find: `on_topic@k`, the share of the result that has the
interest; `recall_within@k`, recall of the user's relevant pins of that interest;
`recall_within_rare@k`, the same of interests with fewer engagements than the median one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.config import GENERAL_METRICS, RankingConfig
from homefeed.evaluation.interests import average_by_user, on_topic_at_k
from homefeed.evaluation.offline import OfflineTest
from homefeed.ranking.diversity import intra_list_diversity
from homefeed.ranking.metrics import (
    NO_PIN,
    coverage_at_k,
    find_hits,
    hit_at_k,
    ndcg_at_k,
    recall_at_k,
)
from homefeed.towers.model import TwoTowers


class Measured(NamedTuple):
    """`per_user[metric][U]`, NaN for users who are not asked, and what is no mean over users."""

    per_user: dict[str, np.ndarray]
    overall: dict[str, float]

    def means(self) -> dict[str, float]:
        """One number a metric."""
        return {
            name: float(np.nanmean(values)) for name, values in self.per_user.items()
        } | self.overall


def measure_ranking(test: OfflineTest, ranking: np.ndarray, metrics: Sequence[str]) -> Measured:
    """The metrics of `ranking[U, K]` for the warm users; those of interests are left out."""
    hits, num_relevant = find_hits(ranking, test.truth.relevant), test.truth.relevant.lengths
    per_user: dict[str, np.ndarray] = {}
    overall: dict[str, float] = {}
    for metric in metrics:
        name, k = _parse(metric)
        if name == "recall":
            per_user[metric] = recall_at_k(hits, num_relevant, k)
        elif name == "ndcg":
            per_user[metric] = ndcg_at_k(hits, num_relevant, k)
        elif name == "hit":
            per_user[metric] = hit_at_k(hits, k)
        elif name == "diversity":
            per_user[metric] = intra_list_diversity(ranking, test.interests.pins_of.T, k)
        elif name == "coverage":
            overall[metric] = coverage_at_k(ranking, len(test.truth.candidates), k)
    return Measured(per_user, overall)


def measure_towers(
    test: OfflineTest, towers: TwoTowers, metrics: Sequence[str], config: RankingConfig
) -> Measured:
    """All metrics of trained towers."""
    k = max(_parse(metric)[1] for metric in metrics)
    measured = measure_ranking(test, test.rank(towers, k, config.merge), metrics)
    of_interests = [metric for metric in metrics if _parse(metric)[0] not in GENERAL_METRICS]
    if not of_interests:
        return measured
    ranking = test.rank_interests(towers, k, config.is_filtered, config.merge)
    questions, num_users = test.questions, len(test.truth.users)
    hits = find_hits(ranking, questions.relevant)
    for metric in of_interests:
        name, k = _parse(metric)
        counts = questions.is_rare if name == "recall_within_rare" else None
        if name == "on_topic":
            values = on_topic_at_k(ranking, questions, test.interests, k)
            # A user may have seen all there is of an interest.
            counts = ranking[:, 0] != NO_PIN
        else:
            values = recall_at_k(hits, questions.relevant.lengths, k)
        measured.per_user[metric] = average_by_user(values, questions.rows, num_users, counts)
    return measured


def _parse(metric: str) -> tuple[str, int]:
    name, _, cutoff = metric.partition("@")
    return name, int(cutoff)

"""From rankings to what is reported: means over users, differences, users by history length."""

from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from homefeed.evaluation.layout import MODEL, PRODUCTION, Difference, HistoryBucket, Metrics
from homefeed.ranking.metrics import (
    coverage_at_k,
    find_hits,
    hit_at_k,
    ndcg_at_k,
    recall_at_k,
)
from homefeed.ranking.ragged import Ragged

PerUser = dict[str, np.ndarray]
"""Metrics by name, one value a user: float64 [U]."""

NUM_RESAMPLES = 1000
BUCKET_QUANTILES = (0.25, 0.5, 0.75, 1.0)
INTERVAL = (0.025, 0.975)


def measure_users(recommended: np.ndarray, relevant: Ragged, cutoffs: Sequence[int]) -> PerUser:
    """Recall, NDCG and hit rate of `recommended[U, K]` for each user, at every cutoff."""
    hits, num_relevant = find_hits(recommended, relevant), relevant.lengths
    return {
        **{f"recall@{k}": recall_at_k(hits, num_relevant, k) for k in cutoffs},
        **{f"ndcg@{k}": ndcg_at_k(hits, num_relevant, k) for k in cutoffs},
        **{f"hit@{k}": hit_at_k(hits, k) for k in cutoffs},
    }


def measure_coverage(
    recommended: np.ndarray, num_candidates: int, cutoffs: Sequence[int]
) -> Metrics:
    """Coverage of `recommended[U, K]` at every cutoff."""
    return {f"coverage@{k}": coverage_at_k(recommended, num_candidates, k) for k in cutoffs}


def average(per_user: PerUser) -> Metrics:
    """The mean of each metric; all users weigh the same."""
    return {name: float(values.mean()) for name, values in per_user.items()}


def compare(recommenders: Mapping[str, PerUser], seed: int) -> dict[str, Difference]:
    """The model beside the best baseline of each metric; see `differ`."""
    baselines = [name for name in recommenders if name not in (MODEL, PRODUCTION)]
    best = {
        metric: max(baselines, key=lambda name: recommenders[name][metric].mean())
        for metric in recommenders[MODEL]
    }
    return differ(recommenders, best, seed)


def differ(
    recommenders: Mapping[str, PerUser], others: Mapping[str, str], seed: int
) -> dict[str, Difference]:
    """The model beside another recommender of each metric.

    The interval is a paired bootstrap's: users are drawn with replacement, each with the values of
    both sides.

    Args:
        recommenders: the metrics of the same users by all.
        others: whom the model is set beside, by metric.
        seed: of the draws; equal seeds give equal intervals.
    """
    model = recommenders[MODEL]
    gains = [model[metric] - recommenders[other][metric] for metric, other in others.items()]
    gain = np.stack(gains, axis=1)
    low, high = _bootstrap(gain, seed)
    return {
        metric: Difference(
            baseline=name,
            value=float(gain[:, place].mean()),
            low=float(low[place]),
            high=float(high[place]),
        )
        for place, (metric, name) in enumerate(others.items())
    }


def _bootstrap(values: np.ndarray, seed: int) -> np.ndarray:
    """Bounds of the means of `values[U, M]`: float64 [2, M]."""
    rng = np.random.default_rng(seed)
    num_users, num_metrics = values.shape
    means = np.empty((NUM_RESAMPLES, num_metrics))
    for resample in tqdm(range(NUM_RESAMPLES), desc="drawing users again", delay=1):
        drawn = rng.integers(num_users, size=num_users)
        means[resample] = np.bincount(drawn, minlength=num_users) @ values / num_users
    return np.quantile(means, INTERVAL, axis=0)


def bucket_by_history(
    recommenders: Mapping[str, PerUser], lengths: np.ndarray
) -> tuple[HistoryBucket, ...]:
    """Recall of users in four parts of about equal size, by length of their history.

    Users with equally long histories stay together, so that there may be fewer parts.

    Args:
        recommenders: metrics of the same users.
        lengths: known pins of each user, [U].
    """
    longest = np.unique(np.quantile(lengths, BUCKET_QUANTILES, method="inverted_cdf"))
    places = np.searchsorted(longest, lengths)
    buckets = []
    for place in range(len(longest)):
        users = np.flatnonzero(places == place)
        own = {
            name: {
                metric: float(values[users].mean())
                for metric, values in per_user.items()
                if metric.startswith("recall@")
            }
            for name, per_user in recommenders.items()
        }
        buckets.append(
            HistoryBucket(
                shortest=int(lengths[users].min()),
                longest=int(lengths[users].max()),
                num_users=len(users),
                recommenders=own,
            )
        )
    return tuple(buckets)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefeed.evaluation.measure import PerUser, bucket_by_history, compare, measure_users
from homefeed.ranking.ragged import Ragged

NUM_USERS = 400


def recommenders(model_gain: float) -> dict[str, PerUser]:
    """Two metrics; `popularity` is the better baseline by recall, `ease` by NDCG."""
    rng = np.random.default_rng(0)
    base = rng.random(NUM_USERS)
    noise = 0.1 * rng.standard_normal(NUM_USERS)
    return {
        "model": {"recall@5": base + model_gain + noise, "ndcg@5": base + model_gain},
        "popularity": {"recall@5": base, "ndcg@5": base - 0.2},
        "ease": {"recall@5": base - 0.1, "ndcg@5": base - 0.1},
    }


def test_the_model_is_compared_with_the_best_baseline_of_each_metric() -> None:
    found = compare(recommenders(0.05), seed=0)
    assert [found[metric].baseline for metric in ("recall@5", "ndcg@5")] == ["popularity", "ease"]
    gain = recommenders(0.05)["model"]["recall@5"] - recommenders(0.05)["popularity"]["recall@5"]
    assert found["recall@5"].value == pytest.approx(gain.mean())
    # Paired: users who differ by 0.3 in themselves leave no width where the gain is the same.
    assert found["ndcg@5"].low == pytest.approx(0.15)
    assert found["ndcg@5"].high == pytest.approx(0.15)


def test_the_interval_is_that_of_a_mean() -> None:
    gains = recommenders(0.05)
    gain = gains["model"]["recall@5"] - gains["popularity"]["recall@5"]
    error = 1.96 * gain.std() / np.sqrt(NUM_USERS)
    found = compare(gains, seed=0)["recall@5"]
    assert found.low == pytest.approx(gain.mean() - error, abs=0.2 * error)
    assert found.high == pytest.approx(gain.mean() + error, abs=0.2 * error)
    assert compare(gains, seed=0)["recall@5"] == found
    assert compare(gains, seed=1)["recall@5"] != found


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=60))
def test_buckets_part_the_users_by_history(lengths: list[int]) -> None:
    values = np.arange(len(lengths), dtype=np.float64)
    per_user = {"model": {"recall@5": values, "ndcg@5": values}}
    buckets = bucket_by_history(per_user, np.array(lengths))
    assert 1 <= len(buckets) <= 4
    assert sum(bucket.num_users for bucket in buckets) == len(lengths)
    for bucket, following in zip(buckets, buckets[1:], strict=False):
        assert bucket.longest < following.shortest
    for bucket in buckets:
        users = [u for u, n in enumerate(lengths) if bucket.shortest <= n <= bucket.longest]
        assert len(users) == bucket.num_users
        assert bucket.recommenders == {"model": {"recall@5": pytest.approx(np.mean(users))}}


def test_different_histories_make_equal_buckets() -> None:
    per_user = {"model": {"recall@5": np.zeros(100)}}
    buckets = bucket_by_history(per_user, np.arange(1, 101))
    spans = [(bucket.shortest, bucket.longest) for bucket in buckets]
    assert spans == [(1, 25), (26, 50), (51, 75), (76, 100)]


def test_every_metric_has_every_cutoff() -> None:
    relevant = Ragged.from_pairs(np.array([0, 1]), np.array([3, 4]), 2)
    found = measure_users(np.array([[3, 0], [0, 4]]), relevant, (1, 2))
    assert {name: values.tolist() for name, values in found.items()} == {
        "recall@1": [1, 0],
        "recall@2": [1, 1],
        "ndcg@1": [1, 0],
        "ndcg@2": [1, pytest.approx(1 / np.log2(3))],
        "hit@1": [1, 0],
        "hit@2": [1, 1],
    }

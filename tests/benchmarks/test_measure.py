"""Metrics by name against what they are made of."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.config import RankingConfig
from benchmarks.measure import measure_ranking, measure_towers
from homefeed.evaluation.offline import OfflineTest
from homefeed.ranking.metrics import find_hits
from homefeed.towers.model import TwoTowers
from tests.evaluation.untrained import offline_test, untrained_towers


@pytest.fixture(scope="module")
def offline(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> OfflineTest:
    scratch = tmp_path_factory.mktemp("measure") / "scratch"
    return offline_test(tiny_dataset, scratch)


@pytest.fixture(scope="module")
def towers(offline: OfflineTest) -> TwoTowers:
    return untrained_towers(offline)


def test_metrics_are_those_of_the_ranking(offline: OfflineTest, towers: TwoTowers) -> None:
    metrics = ("recall@10", "hit@5", "ndcg@5", "coverage@10", "diversity@10")
    measured = measure_towers(offline, towers, metrics, RankingConfig())
    ranking = offline.rank(towers, 10)
    hits, num_relevant = find_hits(ranking, offline.truth.relevant), offline.truth.relevant.lengths
    np.testing.assert_allclose(measured.per_user["recall@10"], hits.sum(axis=1) / num_relevant)
    assert measured.per_user["hit@5"].tolist() == hits[:, :5].any(axis=1).tolist()
    shown = len(np.unique(ranking)) / len(offline.truth.candidates)
    assert measured.overall == {"coverage@10": pytest.approx(shown)}
    assert list(measured.means()) == ["recall@10", "hit@5", "ndcg@5", "diversity@10", "coverage@10"]
    assert measured.means()["recall@10"] == pytest.approx((hits.sum(axis=1) / num_relevant).mean())


def test_interests_are_measured_question_by_question(
    offline: OfflineTest, towers: TwoTowers
) -> None:
    metrics = ("on_topic@5", "recall_within@5", "recall_within_rare@5")
    measured = measure_towers(offline, towers, metrics, RankingConfig())
    ranking = offline.rank_interests(towers, 5, is_filtered=False)
    questions, pins_of = offline.questions, offline.interests.pins_of
    for user in range(len(offline.truth.users)):
        rows = np.flatnonzero(questions.rows == user).tolist()
        shares = [pins_of[questions.interests[row], ranking[row]].mean() for row in rows]
        recalls = [
            len(set(ranking[row]) & set(questions.relevant[row])) / len(questions.relevant[row])
            for row in rows
        ]
        assert measured.per_user["on_topic@5"][user] == pytest.approx(np.mean(shares))
        assert measured.per_user["recall_within@5"][user] == pytest.approx(np.mean(recalls))
        rare = [recall for recall, row in zip(recalls, rows, strict=True) if questions.is_rare[row]]
        expected = np.mean(rare) if rare else np.nan
        found = measured.per_user["recall_within_rare@5"][user]
        assert found == pytest.approx(expected, nan_ok=True)


def test_baselines_are_asked_for_no_interest(offline: OfflineTest) -> None:
    ranking = np.tile(offline.truth.candidates[:5], (len(offline.truth.users), 1))
    measured = measure_ranking(offline, ranking, ("on_topic@5", "coverage@5"))
    assert measured.means() == {"coverage@5": pytest.approx(5 / len(offline.truth.candidates))}

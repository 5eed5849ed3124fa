"""Towers that are measured without a release."""

from pathlib import Path

import numpy as np
import pytest

from homefeed.evaluation.offline import OfflineTest
from homefeed.ranking.metrics import NO_PIN
from homefeed.towers.model import TwoTowers
from tests.evaluation.untrained import offline_test, untrained_towers


@pytest.fixture(scope="module")
def test(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> OfflineTest:
    scratch = tmp_path_factory.mktemp("offline") / "scratch"
    return offline_test(tiny_dataset, scratch)


@pytest.fixture(scope="module")
def towers(test: OfflineTest) -> TwoTowers:
    return untrained_towers(test)


def test_all_that_is_unseen_is_ranked(test: OfflineTest, towers: TwoTowers) -> None:
    ranking = test.rank(towers, 60)
    for row, seen in enumerate(test.truth.seen):
        found = ranking[row][ranking[row] != NO_PIN]
        assert sorted([*found, *seen]) == test.truth.candidates.tolist()


def test_histories_may_be_of_the_training_part_alone(
    tiny_dataset: Path, test: OfflineTest, towers: TwoTowers, tmp_path: Path
) -> None:
    alone = OfflineTest(tiny_dataset, test.truth, tmp_path / "scratch", ("train",))
    ranking, short = test.rank(towers, 10), alone.rank(towers, 10)
    assert not np.array_equal(ranking, short)
    for row, seen in enumerate(test.truth.seen):
        assert not set(short[row]) & set(seen)


def test_a_filter_gives_the_interest_alone(test: OfflineTest, towers: TwoTowers) -> None:
    ranking = test.rank_interests(towers, 60, is_filtered=True)
    questions, pins_of = test.questions, test.interests.pins_of
    assert len(ranking) == len(questions.rows)
    for row, (user, interest) in enumerate(zip(questions.rows, questions.interests, strict=True)):
        found = ranking[row][ranking[row] != NO_PIN]
        own = set(np.flatnonzero(pins_of[interest])) & set(test.truth.candidates.tolist())
        assert set(found) == own - set(test.truth.seen[user])


def test_asking_changes_what_is_ranked(test: OfflineTest, towers: TwoTowers) -> None:
    asked = test.rank_interests(towers, 10, is_filtered=False)
    plain = test.rank(towers, 10)[test.questions.rows]
    assert not np.array_equal(asked, plain)

"""Questions and their metrics on numbers worked out by hand."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from homefeed.evaluation.interests import (
    Interests,
    ask_for_interests,
    average_by_user,
    on_topic_at_k,
    read_interests,
)
from homefeed.evaluation.truth import Truth
from homefeed.ranking.metrics import NO_PIN
from homefeed.ranking.ragged import Ragged
from tests.data_fixtures import INTERESTS

# Pin 3 has both of the first two interests, pin 4 has none.
KNOWN_INTERESTS = Interests(
    ("art", "cats", "DIY"),
    np.array([[1, 0, 0, 1, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0]], bool),
)


def ragged(*rows: list[int]) -> Ragged:
    lengths = [len(row) for row in rows]
    return Ragged(np.cumsum([0, *lengths]), np.array([pin for row in rows for pin in row]))


@pytest.fixture
def truth() -> Truth:
    popularity = np.array([5, 1, 2, 3, 9], np.float32)
    known = ragged([4], [4], [4])
    return Truth(
        users=np.arange(3),
        user_ids=("a", "b", "c"),
        relevant=ragged([0, 1, 3], [2], [4]),
        known=known,
        learned=known,
        candidates=np.arange(5, dtype=np.int32),
        popularity=popularity,
        decayed_popularity=popularity,
        num_warm_users=3,
    )


def test_users_are_asked_for_each_interest_of_what_is_right(truth: Truth) -> None:
    questions = ask_for_interests(truth, KNOWN_INTERESTS)
    # What user c is to find has no interest, so there is nothing to ask for.
    assert questions.rows.tolist() == [0, 0, 1]
    assert questions.interests.tolist() == [0, 1, 2]
    assert [row.tolist() for row in questions.relevant] == [[0, 3], [1, 3], [2]]
    # art has 8 engagements, cats 4, DIY 2: the median is 4.
    assert questions.is_rare.tolist() == [False, False, True]


def test_on_topic_is_the_share_of_what_is_shown(truth: Truth) -> None:
    questions = ask_for_interests(truth, KNOWN_INTERESTS)
    recommended = np.array([[0, 1, 3, 4], [1, 3, NO_PIN, NO_PIN], [NO_PIN] * 4])
    found = on_topic_at_k(recommended, questions, KNOWN_INTERESTS, 4)
    assert found.tolist() == [0.5, 1.0, 0.0]
    assert on_topic_at_k(recommended, questions, KNOWN_INTERESTS, 1).tolist() == [1.0, 1.0, 0.0]


def test_users_weigh_the_same_however_much_they_are_asked() -> None:
    values, rows = np.array([0.0, 1.0, 0.5]), np.array([0, 0, 1])
    averaged = average_by_user(values, rows, 3)
    assert averaged[:2].tolist() == [0.5, 0.5]
    assert math.isnan(averaged[2])
    averaged = average_by_user(values, rows, 3, np.array([False, True, False]))
    assert averaged[0] == 1.0
    assert np.isnan(averaged[1:]).all()


def test_interests_are_read_from_the_pins(tiny_dataset: Path) -> None:
    interests = read_interests(tiny_dataset)
    assert interests.names == tuple(sorted(INTERESTS))
    assert interests.pins_of.sum(axis=0).tolist() == [1] * 60
    assert interests.pins_of.sum(axis=1).tolist() == [15] * 4


def test_questions_are_of_a_real_data_set(truth: Truth) -> None:
    nobody = dataclasses.replace(truth, relevant=ragged([4], [4], [4]))
    assert len(ask_for_interests(nobody, KNOWN_INTERESTS).rows) == 0

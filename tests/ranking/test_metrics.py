"""Metrics against their definitions, user by user."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefeed.ranking.metrics import (
    NO_PIN,
    coverage_at_k,
    find_hits,
    hit_at_k,
    ndcg_at_k,
    recall_at_k,
)
from homefeed.ranking.ragged import Ragged

K = 4
PINS = st.integers(0, 9)
USERS = st.lists(
    st.tuples(
        st.lists(PINS, unique=True, max_size=K),
        st.sets(PINS, min_size=1),
    ),
    min_size=1,
    max_size=6,
)


def arrays(users: list[tuple[list[int], set[int]]]) -> tuple[np.ndarray, Ragged]:
    rankings = np.array([ranking + [NO_PIN] * (K - len(ranking)) for ranking, _ in users])
    pairs = [(row, pin) for row, (_, relevant) in enumerate(users) for pin in sorted(relevant)]
    rows, values = np.array(pairs).T
    return rankings, Ragged.from_pairs(rows, values, len(users))


@given(users=USERS, k=st.integers(1, K))
def test_metrics_follow_their_definitions(users: list[tuple[list[int], set[int]]], k: int) -> None:
    rankings, relevant = arrays(users)
    hits = find_hits(rankings, relevant)
    recall = recall_at_k(hits, relevant.lengths, k)
    ndcg = ndcg_at_k(hits, relevant.lengths, k)
    hit = hit_at_k(hits, k)
    for row, (ranking, right) in enumerate(users):
        first = ranking[:k]
        assert recall[row] == len(right.intersection(first)) / len(right)
        assert hit[row] == float(not right.isdisjoint(first))
        gain = sum(1 / math.log2(i + 2) for i, pin in enumerate(first) if pin in right)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(right))))
        assert ndcg[row] == pytest.approx(gain / ideal)
    shown = {pin for ranking, _ in users for pin in ranking[:k]}
    assert coverage_at_k(rankings, 10, k) == len(shown) / 10


def test_metrics_by_hand() -> None:
    rankings, relevant = arrays([([7, 3, 5, 1], {3, 1, 8}), ([2], {2}), ([], {4})])
    hits = find_hits(rankings, relevant)
    assert hits.tolist() == [[False, True, False, True], [True, False, False, False], [False] * 4]
    assert recall_at_k(hits, relevant.lengths, 2).tolist() == [1 / 3, 1.0, 0.0]
    assert hit_at_k(hits, 1).tolist() == [0.0, 1.0, 0.0]
    # log2 of 3 and 5 for the hits at places 2 and 4; 1 + 1/log2(3) + 1/2 for three at the top.
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 0.5)
    assert ndcg_at_k(hits, relevant.lengths, 4) == pytest.approx([expected, 1.0, 0.0])
    assert coverage_at_k(rankings, 20, 4) == 5 / 20


@given(
    rows=st.lists(st.lists(PINS, max_size=3), min_size=1, max_size=5),
    chosen=st.lists(st.integers(0, 4), max_size=6),
)
def test_ragged_rows_come_back_as_they_were(rows: list[list[int]], chosen: list[int]) -> None:
    pairs = [(row, value) for row, values in enumerate(rows) for value in values]
    flat = np.array(pairs, np.int64).reshape(-1, 2)
    ragged = Ragged.from_pairs(flat[:, 0], flat[:, 1], len(rows))
    assert [row.tolist() for row in ragged] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    taken = [row for row in chosen if row < len(rows)]
    some = ragged.take(np.array(taken, np.int64))
    assert [some[place].tolist() for place in range(len(some))] == [rows[row] for row in taken]

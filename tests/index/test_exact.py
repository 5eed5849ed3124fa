"""Exact search against a sort of everything, where many scores are equal."""

import numpy as np
import pytest

from homefeed.index.exact import top_rows

NUM_ROWS = 400


@pytest.mark.parametrize("depth", [1, 30, NUM_ROWS, NUM_ROWS + 1])
def test_equal_scores_are_in_order_of_their_rows(depth: int) -> None:
    rng = np.random.default_rng(0)
    # Small integers: the products are exact, negative ones and zeros of both signs among them.
    vectors = rng.integers(-2, 3, (NUM_ROWS, 4)).astype(np.float32)
    queries = np.concatenate([rng.integers(-2, 3, (20, 4)), -np.zeros((1, 4))]).astype(np.float32)
    scores = queries @ vectors.T
    assert all(len(np.unique(each)) < NUM_ROWS for each in scores)
    rows, found = top_rows(vectors, (range(NUM_ROWS),), queries, depth)
    for each, own_rows, own_scores in zip(scores, rows, found, strict=True):
        order = np.lexsort((np.arange(NUM_ROWS), -each))[:depth]
        # Which of the equal scores at the end are taken is open.
        np.testing.assert_array_equal(own_scores, each[order])
        np.testing.assert_array_equal(each[own_rows], own_scores)
        in_order = np.lexsort((own_rows, -own_scores))
        np.testing.assert_array_equal(in_order, np.arange(len(own_rows)))

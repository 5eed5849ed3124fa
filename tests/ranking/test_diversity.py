"""Diversity on numbers worked out by hand."""

import numpy as np
import pytest

from homefeed.ranking.diversity import intra_list_diversity
from homefeed.ranking.metrics import NO_PIN

# Pins 0 and 1 share one of three groups, pin 2 has none of theirs, pins 3 and 4 have none at all.
GROUPS = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], bool)


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    recommended = np.array([[0, 1, 2], [0, 0, 1], [3, 4, 0], [2, NO_PIN, NO_PIN], [NO_PIN] * 3])
    # Jaccard similarities: 1/3, 0 and 0; 1, 1/3 and 1/3; 1, 0 and 0.
    expected = [(2 / 3 + 1 + 1) / 3, (0 + 2 / 3 + 2 / 3) / 3, (0 + 1 + 1) / 3, 0, 0]
    assert intra_list_diversity(recommended, GROUPS, 3) == pytest.approx(expected)
    assert intra_list_diversity(recommended, GROUPS, 2) == pytest.approx([2 / 3, 0, 0, 0, 0])


def test_many_users_are_taken_in_parts() -> None:
    recommended = np.tile([[0, 1], [0, 2]], (300, 1))
    assert intra_list_diversity(recommended, GROUPS, 2) == pytest.approx([2 / 3, 1] * 300)

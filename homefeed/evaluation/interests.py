"""Users asked for one interest at a time: what they are to find, and whether it is found.

As in "Bootstrapping Conditional Retrieval", RecSys 2024 (arXiv 2508.16793).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from homefeed.contracts import Column
from homefeed.evaluation.truth import Truth
from homefeed.events.layout import PINS_FILE
from homefeed.ranking.metrics import NO_PIN
from homefeed.ranking.ragged import Ragged


@dataclass(frozen=True)
class Interests:
    """I interests of P pins: `pins_of[I, P]`, bool, by place in `names` and pin_index."""

    names: tuple[str, ...]
    pins_of: np.ndarray


@dataclass(frozen=True)
class InterestQuestions:
    """Each warm user asked for each interest of what is relevant to the user.

    Attributes:
        rows: the user of each question, by row of the truth, ascending, int64 [R].
        interests: the interest, by place in the names, int64 [R].
        relevant: the user's relevant pins of that interest, R rows.
        is_rare: whether the interest has fewer engagements than the median interest, bool [R].
    """

    rows: np.ndarray
    interests: np.ndarray
    relevant: Ragged
    is_rare: np.ndarray


def read_interests(dataset: Path) -> Interests:
    """The interests of a data set's pins, in order of their names."""
    lists = pq.read_table(dataset / PINS_FILE, columns=[Column.INTERESTS])[Column.INTERESTS]
    lists = lists.combine_chunks()
    names = sorted(lists.flatten().unique().drop_null().to_pylist())
    pins_of = np.zeros((len(names), len(lists)), bool)
    places = {name: place for place, name in enumerate(names)}
    for pin, own in enumerate(lists.to_pylist()):
        pins_of[[places[name] for name in own or ()], pin] = True
    return Interests(tuple(names), pins_of)


def ask_for_interests(truth: Truth, interests: Interests) -> InterestQuestions:
    """The questions that a truth answers."""
    users = np.repeat(np.arange(len(truth.users)), truth.relevant.lengths)
    places, at = np.nonzero(interests.pins_of[:, truth.relevant.values])
    order = np.lexsort((truth.relevant.values[at], places, users[at]))
    keys = users[at][order] * len(interests.names) + places[order]
    asked, rows = np.unique(keys, return_inverse=True)
    popularity = interests.pins_of[:, truth.candidates] @ truth.popularity
    return InterestQuestions(
        rows=asked // len(interests.names),
        interests=asked % len(interests.names),
        relevant=Ragged.from_pairs(rows, truth.relevant.values[at][order], len(asked)),
        is_rare=(popularity < np.median(popularity))[asked % len(interests.names)],
    )


def on_topic_at_k(
    recommended: np.ndarray, questions: InterestQuestions, interests: Interests, k: int
) -> np.ndarray:
    """Share of the first k of `recommended[R, K]` that have the interest asked for: float64 [R].

    Places that nothing fills do not count; where there is nothing at all, the share is 0.
    """
    pins = recommended[:, :k]
    is_pin = pins != NO_PIN
    has_it = interests.pins_of[questions.interests[:, None], pins] & is_pin
    return has_it.sum(axis=1) / np.maximum(is_pin.sum(axis=1), 1)


def average_by_user(
    values: np.ndarray, rows: np.ndarray, num_users: int, counts: np.ndarray | None = None
) -> np.ndarray:
    """Means over each user's questions, so that all users weigh the same: float64 [U].

    Args:
        values: of each question, [R].
        rows: the user of each, [R].
        num_users: U.
        counts: questions that count, bool [R]; None for all. A user without any has NaN.
    """
    weights = np.ones(len(rows)) if counts is None else counts.astype(np.float64)
    num_asked = np.bincount(rows, weights, num_users)
    sums = np.bincount(rows, values * weights, num_users)
    return np.divide(sums, num_asked, out=np.full(num_users, np.nan), where=num_asked > 0)

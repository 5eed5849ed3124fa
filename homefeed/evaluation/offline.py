"""Measures towers without a release: exact scores over all that was known at serving time."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from homefeed.dataset.layout import SPLITS, TEST
from homefeed.evaluation.interests import (
    InterestQuestions,
    Interests,
    ask_for_interests,
    read_interests,
)
from homefeed.evaluation.truth import Truth
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.towers.data import EncodedDataset
from homefeed.towers.model import TwoTowers
from homefeed.towers.rank import Filter, Merge, Questions, Ranker


class OfflineTest:
    """The warm users of a truth of the test split, ranked for by whichever towers.

    They rank the truth's candidates, with statistics as of serving time, but for those that the
    user has seen. What they would do in a release differs by the corpus, which may be smaller, and
    by pins of one canonical signature, of which a release shows one.
    """

    def __init__(
        self,
        dataset: Path,
        truth: Truth,
        scratch: Path,
        in_histories: Sequence[str] | None = None,
    ) -> None:
        """Reads what is known at serving time.

        Args:
            dataset: the dataset artifact.
            truth: of its test split.
            scratch: a path beside which tables may spill to disk.
            in_histories: splits that histories are made of, as some published protocols give
                recommenders the training part alone; None for all before the test split.
        """
        self.truth, self._dataset = truth, dataset
        self.encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
        encoded = EncodedDataset(dataset, self.encoder)
        known = SPLITS[: SPLITS.index(TEST)]
        self._ranker = Ranker(dataset, encoded, known, scratch, in_histories)

    def rank(self, towers: TwoTowers, k: int, merge: Merge = "round_robin") -> np.ndarray:
        """The ranking of each warm user, int64 [U, k]; see `homefeed.towers.rank.Ranker`."""
        asked = Questions(self.truth.users, self.truth.seen)
        return self._ranker.rank(towers, asked, k, merge)

    @cached_property
    def interests(self) -> Interests:
        """Of the data set's pins."""
        return read_interests(self._dataset)

    @cached_property
    def questions(self) -> InterestQuestions:
        """What users are asked for by `rank_interests`."""
        return ask_for_interests(self.truth, self.interests)

    def rank_interests(
        self, towers: TwoTowers, k: int, is_filtered: bool, merge: Merge = "round_robin"
    ) -> np.ndarray:
        """The ranking of each of the R questions, int64 [R, k].

        Args:
            towers: with a condition, or without, which then do not know what they are asked for.
            k: pins for each question.
            is_filtered: whether only pins of the interest come back.
            merge: how a user's vectors make one ranking.

        Raises:
            ValueError: the towers cannot know any interest.
        """
        if not self.encoder.has_conditions:
            raise ValueError(
                "users cannot be asked for interests, of which the encoder knows none: add the "
                "categorical feature 'interests' to features.pin"
            )
        rows = self.encoder.encode_conditions(self.interests.names)[:, 0]
        questions = self.questions
        asked = Questions(
            self.truth.users[questions.rows],
            self.truth.seen.take(questions.rows),
            conditions=rows[questions.interests],
            only=Filter(self.interests.pins_of, questions.interests) if is_filtered else None,
        )
        return self._ranker.rank(towers, asked, k, merge)

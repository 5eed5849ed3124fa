"""The baselines, each with the setting that finds most in the validation split."""

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.config import DECAYED_POPULARITY, EASE, POPULARITY, BaselinesConfig
from benchmarks.ials import rank_by_ials
from homefeed.dataset.layout import TEST, VALIDATION
from homefeed.evaluation.baselines import rank_by_ease, rank_by_popularity
from homefeed.evaluation.truth import Truth, read_truth
from homefeed.ranking.metrics import find_hits, ndcg_at_k, recall_at_k

CUTOFF = 10
ANY_HALF_LIFE_DAYS = 7.0
"""Of truths that are not asked for decayed popularity."""

Setting = dict[str, Any]


class Baselines:
    """Choose on the validation split of a data set and rank for the test split."""

    def __init__(
        self,
        dataset: Path,
        config: BaselinesConfig,
        learned: tuple[str, ...] | None,
        seed: int,
        scratch: Path,
    ) -> None:
        """Takes the data set.

        Args:
            dataset: the dataset artifact.
            config: what is tried.
            learned: splits that may be learned from for the test split; None for all before it.
            seed: of what is left to chance.
            scratch: a path beside which tables may spill to disk.
        """
        self._config, self._seed = config, seed

        @cache
        def truth_of(split: str, half_life_days: float) -> Truth:
            own = learned if split == TEST else None
            return read_truth(dataset, half_life_days, None, seed, scratch, split, own)

        self._truth_of = truth_of

    def rank(self, name: str, metric: str, k: int) -> tuple[np.ndarray, Setting]:
        """The ranking of the test split's warm users, int64 [U, k], and the setting behind it.

        Args:
            name: of the baseline.
            metric: "recall@10" or "ndcg@10": what chooses on the validation split.
            k: pins for each user.
        """
        settings = self._settings(name)
        scores = [0.0] if len(settings) == 1 else [self._score(name, s, metric) for s in settings]
        best = settings[int(np.argmax(scores))]
        return self._rank(name, best, TEST, k), best

    def _settings(self, name: str) -> list[Setting]:
        config = self._config
        if name == POPULARITY:
            return [{}]
        if name == DECAYED_POPULARITY:
            return [{"half_life_days": each} for each in config.half_life_days]
        if name == EASE:
            return [{"regularisation": each} for each in config.ease_regularisation]
        grid = product(config.ials_factors, config.ials_regularisation, config.ials_alpha)
        return [
            dict(zip(("factors", "regularisation", "alpha"), each, strict=True)) for each in grid
        ]

    def _score(self, name: str, setting: Setting, metric: str) -> float:
        relevant = self._truth_of(VALIDATION, ANY_HALF_LIFE_DAYS).relevant
        hits = find_hits(self._rank(name, setting, VALIDATION, CUTOFF), relevant)
        measure = {"recall@10": recall_at_k, "ndcg@10": ndcg_at_k}[metric]
        return float(measure(hits, relevant.lengths, CUTOFF).mean())

    def _rank(self, name: str, setting: Setting, split: str, k: int) -> np.ndarray:
        truth = self._truth_of(split, setting.get("half_life_days", ANY_HALF_LIFE_DAYS))
        if name == POPULARITY:
            return rank_by_popularity(truth, truth.popularity, k)
        if name == DECAYED_POPULARITY:
            return rank_by_popularity(truth, truth.decayed_popularity, k)
        if name == EASE:
            return rank_by_ease(truth, setting["regularisation"], k)
        return rank_by_ials(truth, **setting, seed=self._seed, k=k)

"""Sampled softmax: each example's pin is told from the other pins of its batch."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from homefeed.distributed.gather import of_all
from homefeed.frequencies.count_min import CountMinSketch
from homefeed.frequencies.inclusion import log_inclusion
from homefeed.frequencies.streaming import StreamingShares
from homefeed.losses import sampled_softmax
from homefeed.towers.data import EncodedDataset
from homefeed.towers.model import UserVectors
from homefeed.towers.objectives.config import SampledSoftmaxConfig
from homefeed.towers.objectives.learner import Inputs, Objective
from homefeed.towers.objectives.temperature import Temperature
from homefeed.towers.samples.sample import Sample

PLACES_A_PIN = 8
"""Width of the estimators' tables, so that few pins share a place."""
ESTIMATORS = {"streaming": StreamingShares, "count_min": CountMinSketch}


class SampledSoftmax(Objective):
    """The objective over one batch's candidates; see `homefeed.losses.sampled_softmax`."""

    def __init__(
        self,
        config: SampledSoftmaxConfig,
        encoded: EncodedDataset,
        candidates: np.ndarray,
        seed: int,
    ) -> None:
        """Takes what is drawn from.

        Args:
            config: of the objective.
            encoded: users and pins.
            candidates: pin_index of the pins that negatives are drawn from, int64 [N].
            seed: of the estimators' hash functions.
        """
        super().__init__()
        self._config, self._encoded, self._candidates = config, encoded, candidates
        self.temperature = Temperature(config)
        estimator = ESTIMATORS.get(config.frequencies)
        self._estimator = estimator(PLACES_A_PIN * len(candidates), seed) if estimator else None

    def prepare(self, sample: Sample, seed: tuple[int, ...]) -> Inputs:
        """A batch as tensors, with the pins that are drawn beside it."""
        random = np.random.default_rng(seed)
        places = random.integers(len(self._candidates), size=self._config.num_uniform)
        drawn = self._candidates[places]
        pins = np.concatenate([sample.pins, drawn])
        own = sample.pins[sample.own]
        statistics = {name: values[sample.own] for name, values in sample.statistics.items()}
        mine = drawn[sample.own_of(len(drawn))]
        if len(mine):
            beside = sample.trends.at(mine, sample.time)
            statistics = {
                n: np.concatenate([values, beside[n]]) for n, values in statistics.items()
            }
        return Inputs(
            users=sample.users,
            places=sample.places,
            pins=self._encoded.pins(np.concatenate([own, mine]), statistics),
            facts={
                "user_ids": torch.from_numpy(sample.user_ids),
                "pin_ids": torch.from_numpy(pins),
                "log_q": torch.from_numpy(self._log_q(sample, pins)),
                "weights": torch.from_numpy(sample.own_weights()),
                "first": torch.tensor(sample.own.start),
                "num_own": torch.tensor(len(own)),
            },
        )

    def forward(self, users: UserVectors, pins: Tensor, facts: Mapping[str, Tensor]) -> Tensor:
        """The mean loss of this process's points, over the candidates of all."""
        num_own = int(facts["num_own"])
        return sampled_softmax(
            users.vectors,
            torch.cat([of_all(pins[:num_own]), of_all(pins[num_own:])]),
            self.temperature(),
            facts["log_q"],
            facts["user_ids"],
            facts["pin_ids"],
            first=int(facts["first"]),
            is_used=users.is_used,
            weights=facts["weights"],
            corrected=self._config.corrected,
        )

    def get_extra_state(self) -> dict[str, Tensor]:
        """What the estimator has seen, for a checkpoint."""
        return {} if self._estimator is None else self._estimator.state()

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Goes on from a checkpoint."""
        if self._estimator is not None:
            self._estimator.restore(state)

    def _log_q(self, sample: Sample, pins: np.ndarray) -> np.ndarray:
        config = self._config
        if config.frequencies == "none":
            return np.zeros(len(pins), np.float32)
        if self._estimator is None:
            shares = sample.shares.of(pins)
        else:
            self._estimator.update(sample.pins)
            shares = self._estimator.of(pins)
        num_draws = len(sample.pins) - 1
        return log_inclusion(shares, num_draws, config.num_uniform, len(self._candidates))

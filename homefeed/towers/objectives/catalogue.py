"""Objectives over the whole catalogue: every pin is scored for every point."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from homefeed.losses import full_softmax, scaled_l2, square
from homefeed.towers.data import EncodedDataset
from homefeed.towers.model import UserVectors
from homefeed.towers.objectives.config import FullSoftmaxConfig, SquareConfig
from homefeed.towers.objectives.learner import Inputs, Objective
from homefeed.towers.objectives.temperature import Temperature
from homefeed.towers.samples.sample import Sample


class Catalogue:
    """The pins that are scored, and where those of a batch stand among them."""

    def __init__(self, encoded: EncodedDataset, candidates: np.ndarray) -> None:
        """Encodes the pins.

        Args:
            encoded: users and pins.
            candidates: pin_index of the pins, ascending, int64 [N].
        """
        assert not encoded.encoder.config.statistics.columns, "statistics are of a time"
        self._candidates = candidates
        self._pins = encoded.pins(candidates, {})

    def prepare(self, sample: Sample) -> Inputs:
        """A batch as tensors: of this process's points, the pins to be found as pairs."""
        own = sample.own
        is_own = (sample.point_of >= own.start) & (sample.point_of < own.stop)
        places = np.searchsorted(self._candidates, sample.pins[is_own])
        return Inputs(
            users=sample.users,
            places=sample.places,
            pins=self._pins,
            facts={
                "points": torch.from_numpy(sample.point_of[is_own] - own.start),
                "pins": torch.from_numpy(places),
                "weights": torch.from_numpy(sample.weights[is_own]).float(),
                # Of the mean over all processes' pairs, this one's share times their number.
                "scale": torch.tensor(sample.num_shares / sample.weights.sum()).float(),
            },
        )


class FullSoftmax(Objective):
    """Softmax over the catalogue; see `homefeed.losses.full_softmax`."""

    def __init__(
        self, config: FullSoftmaxConfig, encoded: EncodedDataset, candidates: np.ndarray
    ) -> None:
        """Takes the pins; the other arguments are those of `Catalogue`."""
        super().__init__()
        self._catalogue = Catalogue(encoded, candidates)
        self.temperature = Temperature(config)

    def prepare(self, sample: Sample, seed: tuple[int, ...]) -> Inputs:
        """A batch as tensors; nothing is drawn."""
        return self._catalogue.prepare(sample)

    def forward(self, users: UserVectors, pins: Tensor, facts: Mapping[str, Tensor]) -> Tensor:
        """The mean loss."""
        vectors = users.vectors.squeeze(1)
        pairs = (facts["points"], facts["pins"], facts["weights"] * facts["scale"])
        return full_softmax(vectors, pins, self.temperature(), *pairs)


class Square(Objective):
    """Squared errors over the catalogue, regularised; see `homefeed.losses.square`."""

    frequencies: Tensor

    def __init__(
        self,
        config: SquareConfig,
        encoded: EncodedDataset,
        candidates: np.ndarray,
        counts: np.ndarray,
        num_points: int,
    ) -> None:
        """Takes the pins.

        Args:
            config: of the objective.
            encoded: users and pins.
            candidates: pin_index of the pins, ascending, int64 [N].
            counts: engagements of each, [N].
            num_points: what pins are to be found from in an epoch.
        """
        super().__init__()
        self._catalogue = Catalogue(encoded, candidates)
        self._config, self._num_points = config, num_points
        unobserved = config.unobserved_weight * num_points
        frequencies = torch.from_numpy(counts + unobserved).float()
        self.register_buffer("frequencies", frequencies, persistent=False)

    def prepare(self, sample: Sample, seed: tuple[int, ...]) -> Inputs:
        """A batch as tensors; nothing is drawn."""
        inputs = self._catalogue.prepare(sample)
        found = np.bincount(sample.point_of, minlength=len(sample.user_ids))
        weights = np.maximum(found, 1.0) ** -self._config.user_exponent
        own = torch.from_numpy(weights / weights.mean()).float()[sample.own]
        return replace(inputs, facts={**inputs.facts, "user_weights": own})

    def forward(self, users: UserVectors, pins: Tensor, facts: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over users and, of its own share of an epoch, the regularisation."""
        config, vectors = self._config, users.vectors.squeeze(1)
        pairs = (facts["points"], facts["pins"], facts["weights"])
        loss = square(vectors, pins, config.unobserved_weight, *pairs, facts["user_weights"])
        found = torch.bincount(facts["points"], minlength=len(vectors))
        of_users = found + config.unobserved_weight * len(pins)
        exponent = config.frequency_exponent
        penalty = scaled_l2(vectors, of_users.to(vectors.dtype), exponent) / len(vectors)
        penalty = penalty + scaled_l2(pins, self.frequencies, exponent) / self._num_points
        return loss + config.regularisation * penalty

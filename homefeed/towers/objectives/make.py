"""The objective that a training section asks for."""

import numpy as np

from homefeed.towers.data import EncodedDataset, Engagements
from homefeed.towers.objectives.catalogue import FullSoftmax, Square
from homefeed.towers.objectives.config import FullSoftmaxConfig, SquareConfig
from homefeed.towers.objectives.config import Objective as ObjectiveConfig
from homefeed.towers.objectives.learner import Objective
from homefeed.towers.objectives.sampled import SampledSoftmax


def make_objective(
    config: ObjectiveConfig,
    encoded: EncodedDataset,
    engagements: Engagements,
    num_points: int,
    seed: int,
) -> Objective:
    """A module that prepares batches and takes their loss.

    Args:
        config: of the objective.
        encoded: users and pins.
        engagements: all that is trained on.
        num_points: what pins are to be found from in an epoch: users or engagements.
        seed: of what is left to chance.
    """
    candidates, counts = np.unique(engagements.pins, return_counts=True)
    if isinstance(config, FullSoftmaxConfig):
        return FullSoftmax(config, encoded, candidates)
    if isinstance(config, SquareConfig):
        return Square(config, encoded, candidates, counts, num_points)
    return SampledSoftmax(config, encoded, candidates, seed)

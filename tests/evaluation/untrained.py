"""Towers as they begin, and the offline test of a data set: rankings need no training."""

from pathlib import Path

import torch

from homefeed.evaluation.offline import OfflineTest
from homefeed.evaluation.truth import read_truth
from homefeed.towers.config import ConditionConfig, TowersConfig
from homefeed.towers.crossing.config import MLPConfig
from homefeed.towers.model import TwoTowers

TOWERS = TowersConfig(
    field_dimension=8,
    embedding_dimension=8,
    crossing=MLPConfig(widths=(16,)),
    condition=ConditionConfig(),
)


def offline_test(dataset: Path, scratch: Path) -> OfflineTest:
    """Of all users of a data set."""
    return OfflineTest(dataset, read_truth(dataset, 7.0, None, 0, scratch), scratch)


def untrained_towers(test: OfflineTest) -> TwoTowers:
    """Equal ones each time."""
    torch.manual_seed(0)
    return TwoTowers(test.encoder, TOWERS)

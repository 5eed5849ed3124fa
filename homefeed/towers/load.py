"""Loads trained towers."""

from pathlib import Path

import msgspec
import torch

from homefeed.features.encoder import FeatureEncoder
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.layout import TOWERS_CONFIG_FILE, WEIGHTS_FILE
from homefeed.towers.model import TwoTowers


class Effective(msgspec.Struct, frozen=True):
    """What the towers were trained with."""

    towers: TowersConfig
    training: TrainingConfig
    seed: int
    id_dimension: int = 0


def load_towers(folder: Path, encoder: FeatureEncoder) -> TwoTowers:
    """The towers of an artifact on the CPU, in eval mode."""
    effective = msgspec.json.decode((folder / TOWERS_CONFIG_FILE).read_bytes(), type=Effective)
    towers = TwoTowers(encoder, effective.towers, effective.id_dimension)
    towers.load_state_dict(torch.load(folder / WEIGHTS_FILE, weights_only=True))
    return towers.eval()

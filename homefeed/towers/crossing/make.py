"""The crossing that a configuration asks for."""

from torch import nn

from homefeed.towers.crossing.config import Crossing, DHENConfig, IdentityConfig, MLPConfig
from homefeed.towers.crossing.dhen import DHEN
from homefeed.towers.crossing.masknet import MaskNet
from homefeed.towers.crossing.mlp import MLP, Identity


def make_crossing(
    num_fields: int, dimension: int, output_width: int, config: Crossing, dropout: float
) -> nn.Module:
    """A module from `fields[B, num_fields, dimension]` to `[B, output_width]`.

    Raises:
        ValueError: the configuration does not fit the shapes.
    """
    match config:
        case IdentityConfig():
            return Identity(num_fields, dimension, output_width)
        case MLPConfig():
            return MLP(num_fields, dimension, output_width, config, dropout)
        case DHENConfig():
            return DHEN(num_fields, dimension, output_width, config, dropout)
    return MaskNet(num_fields, dimension, output_width, config, dropout)

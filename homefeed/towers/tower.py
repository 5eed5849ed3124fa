"""One tower: features become fields of equal width, fields are crossed into one unit vector.

A tower is given its pooled embeddings, so that the same dense part runs on torchrec's tables in
training and on plain torch's where it is served.
"""

import torch
from torch import Tensor, nn

from homefeed.features.encoder import HISTORY, HISTORY_ACTIONS, TowerInputs
from homefeed.towers.config import TowersConfig
from homefeed.towers.masknet import MaskNet


class Tower(nn.Module):
    """The dense part of a tower.

    Fields are, in this order: the pooled embeddings (`bags`), one for each embedding feature, and
    one for all numbers together.
    """

    def __init__(self, bags: list[str], inputs: TowerInputs, config: TowersConfig) -> None:
        """Takes what is fed.

        Args:
            bags: names of the pooled embeddings, in order.
            inputs: shapes of the features.
            config: shapes of the tower.
        """
        super().__init__()
        width = config.field_dimension
        self.dimension = config.embedding_dimension
        self.bags = bags
        self.embeddings = list(inputs.embeddings)
        self.projections = nn.ModuleList(
            _mlp(dimension, width) for dimension in inputs.embeddings.values()
        )
        self.has_numbers = inputs.num_numeric > 0
        self.numbers = _mlp(inputs.num_numeric, width) if self.has_numbers else nn.Identity()
        num_fields = len(bags) + len(self.embeddings) + self.has_numbers
        self.crossing = MaskNet(
            num_fields, width, config.embedding_dimension, config.crossing, config.dropout
        )

    def forward(self, bags: dict[str, Tensor], features: dict[str, Tensor]) -> Tensor:
        """`bags[name][B, d]` and `features[name]` to unit vectors `[B, D]`."""
        fields = [bags[name] for name in self.bags]
        for place, projection in enumerate(self.projections):
            fields.append(projection(features[self.embeddings[place]]))
        if self.has_numbers:
            fields.append(self.numbers(features["numeric"]))
        return nn.functional.normalize(self.crossing(torch.stack(fields, dim=1)), dim=1)


def _mlp(input_width: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(input_width, width), nn.ReLU(), nn.Linear(width, width))


def pin_bags(inputs: TowerInputs) -> list[str]:
    """Names of the pin tower's pooled embeddings."""
    return list(inputs.categorical)


def user_bags(inputs: TowerInputs) -> list[str]:
    """Names of the user tower's pooled embeddings."""
    return [HISTORY, HISTORY_ACTIONS, *inputs.categorical]

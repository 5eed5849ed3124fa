"""The temperature of a softmax, learned or not."""

import math

import torch
from torch import Tensor, nn

from homefeed.towers.objectives.config import FullSoftmaxConfig, SampledSoftmaxConfig


class Temperature(nn.Module):
    """Its logarithm is what is learned, so that it stays positive."""

    def __init__(self, config: SampledSoftmaxConfig | FullSoftmaxConfig) -> None:
        super().__init__()
        self._least = math.log(config.min_temperature)
        self.log = nn.Parameter(
            torch.tensor(math.log(config.temperature)), requires_grad=config.learn_temperature
        )

    def forward(self) -> Tensor:
        """The temperature, a scalar."""
        return self.log.exp()

    def bound(self) -> None:
        """Brings it back to the least one that is allowed; after each step."""
        with torch.no_grad():
            self.log.clamp_(min=self._least)

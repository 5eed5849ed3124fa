"""Towers and objective together: what one step of training differentiates."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from homefeed.towers.data import Batch
from homefeed.towers.model import TwoTowers, UserVectors
from homefeed.towers.objectives.temperature import Temperature
from homefeed.towers.samples.sample import Sample


@dataclass(frozen=True)
class Inputs:
    """What one step takes, as tensors.

    Attributes:
        users: what the user tower is fed.
        places: where in the histories the points are, or None.
        pins: what the pin tower is fed.
        facts: whatever the objective needs beside the vectors.
    """

    users: Batch
    places: tuple[Tensor, Tensor] | None
    pins: Batch
    facts: Mapping[str, Tensor]


class Objective(nn.Module, ABC):
    """What is minimised; it may learn a temperature."""

    @abstractmethod
    def prepare(self, sample: Sample, seed: tuple[int, ...]) -> Inputs:
        """A batch as tensors; `seed` is of what it draws."""

    @abstractmethod
    def forward(self, users: UserVectors, pins: Tensor, facts: Mapping[str, Tensor]) -> Tensor:
        """The loss, a scalar, from the vectors of users and of pins."""


class Learner(nn.Module):
    """The towers and what they are trained for."""

    def __init__(self, towers: TwoTowers, objective: Objective) -> None:
        super().__init__()
        self.towers, self.objective = towers, objective

    @property
    def temperature(self) -> float:
        """The objective's, 1 where it has none."""
        found = [m for m in self.objective.modules() if isinstance(m, Temperature)]
        return found[0]().item() if found else 1.0

    def bound(self) -> None:
        """Brings a learned temperature back to where it may be; after each step."""
        for module in self.objective.modules():
            if isinstance(module, Temperature):
                module.bound()

    def forward(self, inputs: Inputs) -> Tensor:
        """The loss of one step, a scalar."""
        users, pins = self.towers(inputs.users, inputs.pins, inputs.places)
        device = self.towers.device
        facts = {name: fact.to(device) for name, fact in inputs.facts.items()}
        # A softmax over thousands, at a temperature of hundredths, is lost in 8 bits of mantissa.
        with torch.autocast(device.type, enabled=False):
            whole = UserVectors(users.vectors.float(), users.is_used)
            return self.objective(whole, pins.float(), facts)

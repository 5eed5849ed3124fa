"""The statistics of every pin as the examples go by: for pins that are drawn beside them.

An example comes with its own pin's sums strictly before it. So the last example of a pin says what
its sums are at any later time, until the next.
"""

import numpy as np
import torch
from torch import Tensor

from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.features.config import StatisticsConfig
from homefeed.towers.data import Examples


class Trends:
    """Sums of each pin, as of its last example."""

    def __init__(self, num_pins: int, config: StatisticsConfig) -> None:
        self._config, self._num_pins = config, num_pins
        self.forget()

    def forget(self) -> None:
        """Goes back to before the first example."""
        self._sums = np.zeros((len(self._config.columns), self._num_pins))
        self._times = np.zeros(self._num_pins, np.int64)

    def update(self, examples: Examples, weights: np.ndarray) -> None:
        """Goes on to after some examples.

        Args:
            examples: the next ones, ordered by time.
            weights: of their actions in the sums, float64 [N].
        """
        pins, times = examples.pins, examples.timestamps
        self._times[pins] = times  # of several, the last is kept
        # Events of one second count none of each other.
        is_last = times == self._times[pins]
        added = np.bincount(pins[is_last], weights[is_last], self._sums.shape[1])
        for row, name in enumerate(self._config.columns):
            self._sums[row, pins[is_last]] = examples.statistics[name][is_last]
            self._sums[row] += added

    def at(self, pins: np.ndarray, time: int) -> dict[str, np.ndarray]:
        """Sums of some pins at a time (Unix seconds) by column, float32 [M] each."""
        ages = np.maximum(time - self._times[pins], 0) / SECONDS_A_DAY
        return {
            name: (
                self._sums[row, pins] * (np.exp2(-ages / half_life) if half_life else 1.0)
            ).astype(np.float32)
            for row, (name, half_life) in enumerate(
                zip(self._config.columns, self._config.half_life_days, strict=True)
            )
        }

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"sums": torch.from_numpy(self._sums), "times": torch.from_numpy(self._times)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from a checkpoint."""
        self._sums, self._times = state["sums"].cpu().numpy(), state["times"].cpu().numpy()

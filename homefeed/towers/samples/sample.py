"""One batch of training, whatever its examples are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from homefeed.features.encoder import HISTORY, HISTORY_ACTIONS
from homefeed.towers.data import Batch
from homefeed.towers.trends import Trends


@dataclass(frozen=True)
class Sample:
    """P points, each a user at some time, and Q pins that are to be found from them.

    Attributes:
        users: what the user tower is fed of this process's share of the points.
        places: where in the histories its points are; None where each history is one point.
        own: its share of the P points.
        num_shares: processes that share the points.
        user_ids: user_index of every point, int64 [P].
        pins: pin_index of what is to be found, int64 [Q].
        point_of: from which point each is to be found, ascending, int64 [Q].
        statistics: of these pins at the time of their engagement, by column, float32 [Q] each.
        weights: of these engagements, float32 [Q].
        shares: of pins among the engagements that the batch was drawn from.
        trends: the statistics of pins that are drawn beside, as of `time`.
        time: Unix seconds, before which nothing of this batch happened.
    """

    users: Batch
    places: tuple[Tensor, Tensor] | None
    own: slice
    num_shares: int
    user_ids: np.ndarray
    pins: np.ndarray
    point_of: np.ndarray
    statistics: Mapping[str, np.ndarray]
    weights: np.ndarray
    shares: "Shares"
    trends: Trends
    time: int

    def own_weights(self) -> np.ndarray:
        """Weights of this process's points, each with one pin; 1 on average over all, float32."""
        return (self.weights / self.weights.mean()).astype(np.float32)[self.own]

    def own_of(self, size: int) -> slice:
        """This process's share of so many rows that were drawn beside the points."""
        rank = self.own.start * self.num_shares // len(self.user_ids)
        return share_of(size, rank, self.num_shares)


class Shares:
    """How often each pin is among some engagements."""

    def __init__(self, pins: np.ndarray) -> None:
        """Takes the pin of each engagement, int64 [N]."""
        self._pins, counts = np.unique(pins, return_counts=True)
        self._shares = counts / len(pins)

    def of(self, pins: np.ndarray) -> np.ndarray:
        """Shares of some pins, float64 [M]; 0 for those that are not there."""
        places = np.minimum(np.searchsorted(self._pins, pins), len(self._pins) - 1)
        return np.where(self._pins[places] == pins, self._shares[places], 0.0)


def share_of(size: int, rank: int, world_size: int) -> slice:
    """The part of `size` rows that one process takes; all parts are equal."""
    own = size // world_size
    return slice(rank * own, (rank + 1) * own)


def drop_history(users: Batch, share: float, seed: tuple[int, ...], own: slice, size: int) -> Batch:
    """Takes a share of the items out of histories.

    Args:
        users: of this process's part of the batch.
        share: of the items.
        seed: of the batch; equal for all processes, so that their number changes nothing.
        own: the rows that are this process's.
        size: rows of the whole batch.
    """
    if not share:
        return users
    random = np.random.default_rng(seed)
    drawn = random.random((size, users[HISTORY].shape[1]), np.float32)[own]
    is_kept = torch.from_numpy(drawn >= share)
    return users | {name: users[name] * is_kept for name in (HISTORY, HISTORY_ACTIONS)}

"""Each user's engagements are one causal sequence: every place is to be found from those before it.

As in Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (arXiv 1808.09781): a
pass over a sequence trains all its places at once.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from homefeed.features.encoder import (
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    NUMERIC,
    PADDING_ROW,
)
from homefeed.towers.config import TrainingConfig
from homefeed.towers.data import EncodedDataset, Engagements
from homefeed.towers.samples.sample import Sample, Shares, share_of
from homefeed.towers.samples.users import group_by_user
from homefeed.towers.trends import Trends

SEQUENCES = (HISTORY, HISTORY_ACTIONS, HISTORY_AGES)


class SequenceSamples:
    """The batches of each epoch; equal seeds give equal ones, for any number of processes."""

    def __init__(
        self,
        encoded: EncodedDataset,
        examples: Engagements,
        training: TrainingConfig,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Takes the examples.

        Args:
            encoded: users and pins.
            examples: of all users, ordered by time.
            training: users a batch, and weights of actions.
            seed: of the order.
            rank: of this process.
            world_size: processes, which share a batch equally.

        Raises:
            ValueError: nobody has two engagements.
        """
        self._encoded, self._seed = encoded, seed
        self._rank, self._world_size = rank, world_size
        self._histories, order, users = group_by_user(examples)
        lengths = np.diff(self._histories.offsets)
        self._rows = np.flatnonzero(lengths > 1)
        if not len(self._rows):
            raise ValueError(
                "training.examples='sequences' needs users with two engagements or more, of which "
                "the training part has none: set it to 'events'"
            )
        self._users = users
        self._weights = encoded.action_weights(training.action_weights)[examples.actions[order]]
        self._statistics = {name: own[order] for name, own in examples.statistics.items()}
        self._shares = Shares(examples.pins)
        self.batch_size = (
            max(min(training.batch_size, len(self._rows)) // world_size, 1) * world_size
        )
        self._time = int(examples.timestamps[0])
        # There is no time in a history as a whole: what is drawn beside it has no statistics.
        self._trends = Trends(encoded.num_pins, encoded.encoder.config.statistics)
        self.num_examples = self.num_points = len(examples)

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch."""
        return -(-len(self._rows) // self.batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, which counts from 1, but for the first ones.

        Every user is in one; the last is filled up with those that came first.
        """
        order = np.random.default_rng((self._seed, epoch)).permutation(self._rows)
        length = self._encoded.encoder.config.history.length
        for number in range(first, self.num_batches(epoch)):
            start = number * self.batch_size
            rows = order.take(range(start, start + self.batch_size), mode="wrap")
            # Place j of the input sees what is older than its own, which it is to find.
            offsets = self._histories.offsets
            num_places = np.minimum(offsets[rows + 1] - offsets[rows] - 1, length)
            point_rows = np.repeat(np.arange(len(rows)), num_places)
            ends = np.cumsum(num_places)
            places = np.arange(ends[-1]) - np.repeat(ends - num_places, num_places)
            items = offsets[rows][point_rows] + places

            share = share_of(len(rows), self._rank, self._world_size)
            own = slice(*(int(np.concatenate([[0], ends])[at]) for at in (share.start, share.stop)))
            users = self._features(rows, point_rows[own], places[own], share)
            yield Sample(
                users=users,
                places=(
                    torch.from_numpy(point_rows[own] - share.start),
                    torch.from_numpy(places[own]),
                ),
                own=own,
                user_ids=self._users[rows][point_rows],
                pins=self._histories.pins[items].astype(np.int64),
                point_of=np.arange(len(items)),
                statistics={name: values[items] for name, values in self._statistics.items()},
                weights=self._weights[items],
                shares=self._shares,
                trends=self._trends,
                time=self._time,
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: nothing changes."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""

    def _features(
        self, rows: np.ndarray, point_rows: np.ndarray, places: np.ndarray, share: slice
    ) -> dict[str, torch.Tensor]:
        """Sequences of this process's users, and of each of its points what else is known."""
        encoder = self._encoded.encoder
        older = self._encoded.users(self._users[rows[share]], self._histories, rows[share], skip=1)
        features = {
            name: tensor if name in SEQUENCES else tensor[point_rows - share.start]
            for name, tensor in older.items()
        }
        num_known = (older[HISTORY] != PADDING_ROW).sum(dim=1).numpy()
        lengths = encoder.scale_lengths(num_known[point_rows - share.start] - places)
        numbers = features[NUMERIC]
        features[NUMERIC] = torch.cat([torch.from_numpy(lengths), numbers[:, 1:]], dim=1)
        return features

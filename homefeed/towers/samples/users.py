"""Each user is one point: from a part of the whole history, whatever its order, all of it.

As autoencoders of histories are trained: Liang et al., "Variational Autoencoders for Collaborative
Filtering", WWW 2018 (arXiv 1802.05814).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from homefeed.towers.config import TrainingConfig
from homefeed.towers.data import EncodedDataset, Engagements, Histories
from homefeed.towers.samples.sample import Sample, Shares, drop_history, share_of
from homefeed.towers.trends import Trends


class UserSamples:
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
            training: users a batch, weights of actions, and what is not seen of histories.
            seed: of the order, and of what is not seen.
            rank: of this process.
            world_size: processes, which share a batch equally.
        """
        self._encoded, self._seed = encoded, seed
        self._history_dropout = training.history_dropout
        self._rank, self._world_size = rank, world_size
        self.histories, order, self._users = group_by_user(examples)
        self._weights = encoded.action_weights(training.action_weights)[examples.actions[order]]
        self._shares = Shares(examples.pins)
        self._statistics = {name: own[order] for name, own in examples.statistics.items()}
        self.batch_size = (
            max(min(training.batch_size, len(self._users)) // world_size, 1) * world_size
        )
        self._time = int(examples.timestamps[0])
        # There is no time in a history as a whole: what is drawn beside it has no statistics.
        self._trends = Trends(encoded.num_pins, encoded.encoder.config.statistics)
        self.num_examples, self.num_points = len(examples), len(self._users)

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch."""
        return -(-len(self._users) // self.batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, which counts from 1, but for the first ones.

        Every user is in one; the last is filled up with those that came first.
        """
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._users))
        offsets = self.histories.offsets
        for number in range(first, self.num_batches(epoch)):
            start = number * self.batch_size
            rows = order.take(range(start, start + self.batch_size), mode="wrap")
            own = share_of(len(rows), self._rank, self._world_size)
            users = self._encoded.users(self._users[rows[own]], self.histories, rows[own])
            seed = (self._seed, epoch, number, 0)
            users = drop_history(users, self._history_dropout, seed, own, len(rows))
            lengths = offsets[rows + 1] - offsets[rows]
            point_of = np.repeat(np.arange(len(rows)), lengths)
            within = np.arange(len(point_of)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            items = offsets[rows][point_of] + within
            yield Sample(
                users=users,
                places=None,
                own=own,
                user_ids=self._users[rows],
                pins=self.histories.pins[items].astype(np.int64),
                point_of=point_of,
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


def group_by_user(examples: Engagements) -> tuple[Histories, np.ndarray, np.ndarray]:
    """Each user's engagements, most recent first.

    Args:
        examples: ordered by time.

    Returns:
        The U histories; the example of each of their items, int64; the user_index of each, [U].
    """
    newest_first = np.arange(len(examples))[::-1]
    order = newest_first[np.argsort(examples.users[newest_first], kind="stable")]
    users, starts = np.unique(examples.users[order], return_index=True)
    histories = Histories(
        offsets=np.append(starts, len(order)),
        pins=np.append(examples.pins[order].astype(np.int32), np.int32(0)),
        actions=np.append(examples.actions[order].astype(np.int32), np.int32(0)),
        times=np.append(examples.timestamps[order], 0),
    )
    return histories, order, users

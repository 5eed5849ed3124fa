"""What examples have in common that come a user at a time, with the whole of the history."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from homefeed.towers.config import TrainingConfig
from homefeed.towers.data import Batch, EncodedDataset, Engagements, Histories
from homefeed.towers.samples.sample import Sample, Shares
from homefeed.towers.trends import Trends


class GroupedSamples:
    """Batches of users; equal seeds give equal ones, for any number of processes."""

    least = 1
    """Engagements that a user has at least."""

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
            world_size: processes, which share a batch's users equally.

        Raises:
            ValueError: no user has as many engagements as are needed.
        """
        self._encoded, self._training, self._seed = encoded, training, seed
        self._rank, self._world_size = rank, world_size
        self.histories, order, self._users = group_by_user(examples)
        self._rows = np.flatnonzero(np.diff(self.histories.offsets) >= self.least)
        if not len(self._rows):
            raise ValueError(
                f"training.examples={training.examples!r} needs users with {self.least} "
                "engagements or more, of which the training part has none: set it to 'events'"
            )
        self._weights = encoded.action_weights(training.action_weights)[examples.actions[order]]
        self._statistics = {name: own[order] for name, own in examples.statistics.items()}
        self._shares = Shares(examples.pins)
        # A history as a whole is of no time: what is drawn beside it has no statistics.
        self._trends = Trends(encoded.num_pins, encoded.encoder.config.statistics)
        self._time = int(examples.timestamps[0])
        size = min(training.batch_size, len(self._rows))
        self.batch_size = max(size // world_size, 1) * world_size
        self.num_examples = len(examples)
        self.num_points = self._count_points()

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch; every user is in one, the last has some for the second time."""
        return -(-len(self._rows) // self.batch_size)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: nothing changes."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""

    def _count_points(self) -> int:
        """What pins are to be found from in an epoch."""
        return self.num_examples

    def _order(self, random: np.random.Generator) -> np.ndarray:
        """Rows of the histories in the order of an epoch."""
        return random.permutation(self._rows)

    def _batches(self, epoch: int, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Numbers of the batches, and rows of the histories of each."""
        order = self._order(np.random.default_rng((self._seed, epoch)))
        for number in range(first, self.num_batches(epoch)):
            start = number * self.batch_size
            yield number, order.take(range(start, start + self.batch_size), mode="wrap")

    def _sample(
        self,
        users: Batch,
        places: tuple[Tensor, Tensor] | None,
        own: slice,
        user_ids: np.ndarray,
        items: np.ndarray,
        point_of: np.ndarray,
    ) -> Sample:
        """A batch whose pins are those of some items of the histories, [Q]; see `Sample`."""
        return Sample(
            users=users,
            places=places,
            own=own,
            num_shares=self._world_size,
            user_ids=user_ids,
            pins=self.histories.pins[items].astype(np.int64),
            point_of=point_of,
            statistics={name: values[items] for name, values in self._statistics.items()},
            weights=self._weights[items],
            shares=self._shares,
            trends=self._trends,
            time=self._time,
        )


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

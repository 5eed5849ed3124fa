"""Each engagement is a point: who it was, what was known before it, and the pin to be found."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from homefeed.features.encoder import CONDITION, PADDING_ROW
from homefeed.towers.batches import Batches
from homefeed.towers.config import ConditionConfig, TrainingConfig
from homefeed.towers.data import Batch, EncodedDataset, Examples
from homefeed.towers.samples.sample import Sample, Shares, drop_history, share_of
from homefeed.towers.trends import Trends


class EventSamples:
    """The batches of each epoch; equal seeds give equal ones, for any number of processes."""

    def __init__(
        self,
        encoded: EncodedDataset,
        batches: Batches,
        condition: ConditionConfig | None,
        training: TrainingConfig,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Takes the examples.

        Args:
            encoded: users and pins.
            batches: which examples meet.
            condition: whether and how users are asked for an interest.
            training: weights of actions, and what is not seen of histories.
            seed: of what is left to chance.
            rank: of this process.
            world_size: processes, which share a batch equally.
        """
        self._encoded, self._batches = encoded, batches
        self._history_dropout, self._condition = training.history_dropout, condition
        self._weights = encoded.action_weights(training.action_weights)
        statistics = encoded.encoder.config.statistics
        self._weights_in_sums = encoded.action_weights(statistics.action_weights)
        self._trends = Trends(encoded.num_pins, statistics)
        self._ended: Examples | None = None
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self.batch_size = batches.batch_size
        self.num_examples = self.num_points = batches.num_examples

    def num_batches(self, epoch: int) -> int:
        """Batches of an epoch, which counts from 1."""
        return self._batches.num_batches(epoch)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, but for the first ones."""
        if not first:
            self._trends.forget()
            self._ended = None
        known, shares = None, None
        for number, (block, rows, is_last) in enumerate(self._batches.epoch(epoch, first), first):
            self._go_on()
            if block is not known:
                known, shares = block, Shares(block.pins)
            if is_last:
                self._ended = block
            assert shares is not None
            seed = (self._seed, epoch, number)
            own = share_of(len(rows), self._rank, self._world_size)
            users = self._encoded.users(block.users[rows[own]], block.histories, rows[own])
            users = drop_history(users, self._history_dropout, (*seed, 0), own, len(rows))
            pins = block.pins[rows]
            if self._condition is not None:
                users |= self._conditions(self._condition, pins, block.interests[rows], seed, own)
            yield Sample(
                users=users,
                places=None,
                own=own,
                num_shares=self._world_size,
                user_ids=block.users[rows],
                pins=pins,
                point_of=np.arange(len(rows)),
                statistics={name: values[rows] for name, values in block.statistics.items()},
                weights=self._weights[block.actions[rows]],
                shares=shares,
                trends=self._trends,
                time=int(block.timestamps[0]),
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        self._go_on()
        return self._trends.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self._trends.restore(state)

    def _go_on(self) -> None:
        """Lets the trends know of a block that has come to its end."""
        if self._ended is not None:
            self._trends.update(self._ended, self._weights_in_sums[self._ended.actions])
            self._ended = None

    def _conditions(
        self,
        config: ConditionConfig,
        pins: np.ndarray,
        logged: np.ndarray,
        seed: tuple[int, ...],
        own: slice,
    ) -> Batch:
        random = np.random.default_rng((*seed, 1))
        interests = self._encoded.interests[pins]
        chances = random.random(interests.shape) * (interests != PADDING_ROW)
        chosen = np.take_along_axis(interests, chances.argmax(axis=1)[:, None], axis=1)[:, 0]
        if config.source == "logged":
            chosen = np.where(logged != PADDING_ROW, logged, chosen)
        is_asked = random.random(len(pins)) >= config.none_share
        rows = np.where(is_asked, chosen, PADDING_ROW)[own]
        return {CONDITION: torch.from_numpy(rows)[:, None]}

"""Each user is one point: from a part of the whole history, whatever its order, all of it.

As autoencoders of histories are trained: Liang et al., "Variational Autoencoders for Collaborative
Filtering", WWW 2018 (arXiv 1802.05814).
"""

from collections.abc import Iterator

import numpy as np

from homefeed.towers.samples.grouped import GroupedSamples
from homefeed.towers.samples.sample import Sample, drop_history, share_of


class UserSamples(GroupedSamples):
    """The batches of each epoch, for objectives over the whole catalogue."""

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, which counts from 1, but for the first ones."""
        offsets = self.histories.offsets
        for number, rows in self._batches(epoch, first):
            own = share_of(len(rows), self._rank, self._world_size)
            users = self._encoded.users(self._users[rows[own]], self.histories, rows[own])
            seed = (self._seed, epoch, number, 0)
            users = drop_history(users, self._training.history_dropout, seed, own, len(rows))
            lengths = offsets[rows + 1] - offsets[rows]
            point_of = np.repeat(np.arange(len(rows)), lengths)
            within = np.arange(len(point_of)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            items = offsets[rows][point_of] + within
            yield self._sample(users, None, own, self._users[rows], items, point_of)

    def _count_points(self) -> int:
        return len(self._users)

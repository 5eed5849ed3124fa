"""Each user's engagements are one causal sequence: every place is to be found from those before it.

As in Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (arXiv 1808.09781): a
pass over a sequence trains all its places at once.
"""

from collections.abc import Iterator

import numpy as np
import torch

from homefeed.features.encoder import (
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    NUMERIC,
    PADDING_ROW,
)
from homefeed.towers.samples.grouped import GroupedSamples
from homefeed.towers.samples.sample import Sample, share_of

SEQUENCES = (HISTORY, HISTORY_ACTIONS, HISTORY_AGES)


class SequenceSamples(GroupedSamples):
    """The batches of each epoch, for a causal `towers.sequence`."""

    least = 2

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, which counts from 1, but for the first ones."""
        length = self._encoded.encoder.config.history.length
        offsets = self.histories.offsets
        for _, rows in self._batches(epoch, first):
            # Place j of the input sees what is older than its own, which it is to find.
            num_places = np.minimum(offsets[rows + 1] - offsets[rows] - 1, length)
            point_rows = np.repeat(np.arange(len(rows)), num_places)
            ends = np.cumsum(num_places)
            places = np.arange(ends[-1]) - np.repeat(ends - num_places, num_places)
            items = offsets[rows][point_rows] + places

            share = share_of(len(rows), self._rank, self._world_size)
            own = slice(*(int(np.concatenate([[0], ends])[at]) for at in (share.start, share.stop)))
            users = self._features(rows, point_rows[own], places[own], share)
            mine = (point_rows[own] - share.start, places[own])
            yield self._sample(
                users,
                (torch.from_numpy(mine[0]), torch.from_numpy(mine[1])),
                own,
                self._users[rows][point_rows],
                items,
                np.arange(len(items)),
            )

    def _features(
        self, rows: np.ndarray, point_rows: np.ndarray, places: np.ndarray, share: slice
    ) -> dict[str, torch.Tensor]:
        """Sequences of this process's users, and of each of its points what else is known."""
        encoder = self._encoded.encoder
        older = self._encoded.users(self._users[rows[share]], self.histories, rows[share], skip=1)
        features = {
            name: tensor if name in SEQUENCES else tensor[point_rows - share.start]
            for name, tensor in older.items()
        }
        num_known = (older[HISTORY] != PADDING_ROW).sum(dim=1).numpy()
        lengths = encoder.scale_lengths(num_known[point_rows - share.start] - places)
        numbers = features[NUMERIC]
        features[NUMERIC] = torch.cat([torch.from_numpy(lengths), numbers[:, 1:]], dim=1)
        return features

"""The exported user tower with its encoder: what serving runs, and what evaluation measures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from homefeed.contracts import USER_TOWER_FILE
from homefeed.features.encoder import (
    CONDITION,
    FEATURES_FILE,
    FeatureEncoder,
    History,
    Tensors,
)


class UserTower:
    """Embeds users from what is known of them; for one thread."""

    def __init__(self, folder: Path) -> None:
        """Loads it.

        Args:
            folder: of a release, or of the exported towers artifact.
        """
        self.encoder = FeatureEncoder.load(folder / FEATURES_FILE)
        tower = torch.jit.load(folder / USER_TOWER_FILE, map_location="cpu").eval()
        # Constants are folded and layers prepared for this machine: a fifth less time a batch.
        self._tower = torch.jit.optimize_for_inference(tower)
        self._columns = [feature.column for feature in self.encoder.config.user]

    def encode(
        self,
        features: Sequence[Mapping[str, Any]],
        histories: Sequence[History],
        conditions: Sequence[str | None] | None = None,
    ) -> Tensors:
        """The tower's inputs of B users.

        Args:
            features: raw values by column of each user; an absent one is unknown.
            histories: of each user.
            conditions: the interest that each is asked for, None for none in particular.

        Raises:
            ValueError: a value does not fit its feature.
        """
        columns = {name: [own.get(name) for own in features] for name in self._columns}
        return self.encoder.encode_users(columns, histories, conditions)

    def ask(self, tensors: Tensors, conditions: Sequence[Sequence[str]]) -> Tensors:
        """Encoded users, each followed by itself as asked for each of some interests.

        To encode a user again for each would cost more than the tower does for it.

        Args:
            tensors: B users, as `encode` gives them.
            conditions: the interests of each.
        """
        if not any(conditions):
            return tensors
        num_rows = [1 + len(own) for own in conditions]
        repeated = {name: tensor.repeat(num_rows, axis=0) for name, tensor in tensors.items()}
        asked = [name for own in conditions for name in (None, *own)]
        return repeated | {CONDITION: self.encoder.encode_conditions(asked)}

    def embed(self, tensors: Tensors) -> list[np.ndarray]:
        """The vectors of each of B encoded users, float32 little-endian [K, D].

        K is one, or as many as the user's history has clusters, the heaviest first.
        """
        inputs = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        with torch.inference_mode():
            vectors = self._tower(inputs).numpy().astype("<f4", copy=False)
        if vectors.shape[1] == 1:
            return list(vectors)
        # The tower gives zeros for clusters that a user has not.
        is_there = vectors.any(axis=2)
        is_there[:, 0] = True
        return [own[kept] for own, kept in zip(vectors, is_there, strict=True)]

    def embed_asked(
        self, tensors: Tensors, conditions: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """The vectors of each of B users out of `ask`, float32 [K + conditions, D].

        First all K of no condition, then one of each condition: the heaviest, where the tower gives
        several. The others of a condition would take turns away from those of no condition.

        Args:
            tensors: what `ask` made of the users.
            conditions: the interests of each.
        """
        found = iter(self.embed(tensors))
        return [
            np.concatenate([next(found), *(next(found)[:1] for _ in own)]) if own else next(found)
            for own in conditions
        ]

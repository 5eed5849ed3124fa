"""A release's user tower with its encoder: what serving runs, and what evaluation measures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from homefeed.features.encoder import FeatureEncoder, HistoryItem, Tensors
from homefeed.release.bundle import Release


class UserTower:
    """Embeds users from what is known of them; for one thread."""

    def __init__(self, release: Release) -> None:
        self.encoder = FeatureEncoder.load(release.features)
        self._tower = torch.jit.load(release.user_tower, map_location="cpu").eval()
        self._columns = [feature.column for feature in self.encoder.config.user]

    def encode(
        self,
        features: Sequence[Mapping[str, Any]],
        histories: Sequence[Sequence[HistoryItem]],
    ) -> Tensors:
        """The tower's inputs of B users.

        Args:
            features: raw values by column of each user; an absent one is unknown.
            histories: engagements of each user, most recent first.

        Raises:
            ValueError: a value does not fit its feature.
        """
        columns = {name: [own.get(name) for own in features] for name in self._columns}
        return self.encoder.encode_users(columns, histories)

    def embed(self, tensors: Tensors) -> np.ndarray:
        """The vectors of B encoded users, K each: float32 little-endian [B, K, D]."""
        inputs = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        with torch.inference_mode():
            return self._tower(inputs).numpy().astype("<f4", copy=False)

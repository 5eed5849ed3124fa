"""Pre-trained ID embeddings as fields of the towers.

Source: "Taming the One-Epoch Phenomenon in Online Recommendation System by Two-stage Contrastive
ID Pre-training", RecSys 2024 (arXiv 2508.18700), and "Advancements in Embedding-Based Retrieval at
Pinterest Homefeed" (2025): the table is fixed, with dropout on top; fine-tuned it overfits.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from homefeed.towers.ids_config import IdsConfig


class IdVectors(nn.Module):
    """One table, by rows of the vocabulary; frozen it is no parameter."""

    weight: Tensor

    def __init__(self, num_rows: int, dimension: int, config: IdsConfig) -> None:
        """Takes the shape `[num_rows, dimension]`; the vectors are zeros until they are loaded."""
        super().__init__()
        if config.training == "frozen":
            self.register_buffer("weight", torch.zeros(num_rows, dimension))
        else:
            self.weight = nn.Parameter(torch.zeros(num_rows, dimension))

    def load(self, vectors: np.ndarray) -> None:
        """Takes the vectors float32 `[num_rows, dimension]`."""
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(vectors))

    def forward(self, rows: Tensor) -> Tensor:
        """Looks `rows[B, V]` up and means over those that are not padding: `[B, dimension]`."""
        num_there = (rows != 0).sum(dim=1, keepdim=True).clamp(min=1)
        # Padding's vector is zeros, and stays so when others are trained on.
        found = nn.functional.embedding(rows, self.weight, padding_idx=0)
        return found.sum(dim=1) / num_there


class IdField(nn.Module):
    """Dropout on looked-up vectors `[B, id_dimension]`, then a projection to `[B, dimension]`."""

    def __init__(self, id_dimension: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Sequential(
            nn.Linear(id_dimension, dimension), nn.ReLU(), nn.Linear(dimension, dimension)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """`vectors[B, id_dimension]` to a field `[B, dimension]`."""
        return self.projection(self.dropout(vectors))


IdTables = Mapping[str, np.ndarray]
"""Aligned vectors float32 `[rows of the vocabulary, D]` by table, `users` or `pins`."""

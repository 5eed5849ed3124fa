"""Pre-trained ID embeddings as fields of the towers.

Source: "Taming the One-Epoch Phenomenon in Online Recommendation System by Two-stage Contrastive
ID Pre-training", RecSys 2024 (arXiv 2508.18700), and "Advancements in Embedding-Based Retrieval at
Pinterest Homefeed" (2025): the table is fixed, with dropout on top; fine-tuned it overfits.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from homefeed.config import Config
from homefeed.contracts import Column
from homefeed.features.config import HISTORY

USERS, PINS = "users", "pins"


class IdsConfig(Config, frozen=True):
    """How the towers use the latest ID embeddings that end before their training window.

    `pins` is a field of the pin tower, and the mean over the history one of the user tower; `users`
    is a field of the user tower, and needs the user feature `user_id`.
    """

    tables: tuple[Literal["users", "pins"], ...] = (PINS,)
    training: Literal["frozen", "fine_tuned"] = "frozen"
    """frozen: the vectors stay as they are; fine_tuned: they are trained on."""
    dropout: float = 0.5
    """Of the looked-up vectors, in training."""
    int8: bool = False
    """Whether exported towers hold the vectors in 8 bits a number, a quarter of the memory."""
    replaces: bool = False
    """Whether the features `pin_id` and `user_id` have no trained vectors beside these."""

    def __post_init__(self) -> None:
        if not self.tables or len(set(self.tables)) < len(self.tables):
            raise ValueError(
                f"towers.ids.tables={list(self.tables)} must name users, pins, or both, each once"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"towers.ids.dropout={self.dropout} must lie in [0, 1)")


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


def id_fields(tables: tuple[str, ...], is_user: bool) -> dict[str, tuple[str, str]]:
    """Fields of one tower by name: which table, and the feature whose rows are looked up there.

    Args:
        tables: that are used.
        is_user: whether it is the user tower.
    """
    fields = {}
    if is_user and USERS in tables:
        fields["ids.user"] = (USERS, Column.USER_ID.value)
    if PINS in tables:
        fields["ids.pins"] = (PINS, HISTORY if is_user else Column.PIN_ID.value)
    return fields


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

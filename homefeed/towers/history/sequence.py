"""A transformer over the recent actions.

Sources: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (arXiv 1808.09781);
PinnerFormer (arXiv 2205.04507), section 3.2, for the encoding of time and action; the pre-norm
form is Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020. As SASRec's
paper has it, what a layer gives is dropped out, and not the weights of attention, for which there
is no fused attention on CPU.
"""

import torch
from torch import Tensor, nn

from homefeed.features.ages import NUM_AGE_BUCKETS
from homefeed.towers.history.config import SequenceConfig


class Block(nn.Module):
    """Attention over the items, then a feed-forward layer at each."""

    def __init__(self, dimension: int, config: SequenceConfig) -> None:
        super().__init__()
        self.heads = config.heads
        width = max(1, round(config.width_ratio * dimension))
        self.first_norm, self.second_norm = nn.LayerNorm(dimension), nn.LayerNorm(dimension)
        self.projection = nn.Linear(dimension, 3 * dimension)
        self.output = nn.Linear(dimension, dimension)
        self.feed_forward = nn.Sequential(
            nn.Linear(dimension, width),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, dimension),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, items: Tensor, may_see: Tensor) -> Tensor:
        """`items[B, L, d]` and `may_see[B, 1, L, L]` (row, column) to `[B, L, d]`."""
        projected = self.projection(self.first_norm(items))
        projected = projected.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(
            projected[0],
            projected[1],
            projected[2],
            attn_mask=may_see,
        )
        items = items + self.dropout(self.output(attended.transpose(1, 2).flatten(2)))
        return items + self.dropout(self.feed_forward(self.second_norm(items)))


class SequenceEncoder(nn.Module):
    """Histories of L items, most recent first, to what is known at each item.

    An item is the sum of its pin, what was done with it, its age and its place.
    """

    def __init__(
        self, dimension: int, length: int, config: SequenceConfig, deviation: float
    ) -> None:
        """Takes the shapes.

        Args:
            dimension: width of an item, d.
            length: most items, L.
            config: of the transformer.
            deviation: standard deviation of what its tables hold at first.

        Raises:
            ValueError: the heads do not divide the width.
        """
        super().__init__()
        if dimension % config.heads:
            raise ValueError(
                f"towers.sequence.heads={config.heads} must divide "
                f"towers.field_dimension={dimension}"
            )
        self.has_actions, self.causal = config.actions, config.causal
        self.positions = nn.Embedding(length, dimension) if config.positions else None
        self.ages = nn.Embedding(NUM_AGE_BUCKETS, dimension) if config.ages else None
        for table in (self.positions, self.ages):
            if table is not None:
                nn.init.normal_(table.weight, std=deviation)
        # As in SASRec's code: what an item is weighs more at first than where it stands.
        self.scale = dimension**0.5
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(dimension, config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(dimension)

    def forward(self, pins: Tensor, actions: Tensor, ages: Tensor, is_there: Tensor) -> Tensor:
        """The output at place 0 is the user's; with `causal`, that at i is the user's as of item i.

        Args:
            pins: looked-up vectors `[B, L, d]`.
            actions: likewise of what was done.
            ages: buckets of `homefeed.features.ages`, int64 `[B, L]`.
            is_there: false for padding, `[B, L]`.

        Returns:
            `[B, L, d]`; zeros for padding.
        """
        items = pins
        if self.has_actions:
            items = items + actions
        items = items * self.scale
        if self.positions is not None:
            items = items + self.positions.weight[: items.shape[1]]
        if self.ages is not None:
            items = items + self.ages(ages)
        items = self.dropout(items)
        may_see = is_there.unsqueeze(1)
        if self.causal:
            # Most recent first: what is older stands to the right.
            square = (items.shape[1], items.shape[1])
            may_see = may_see & torch.ones(square, dtype=torch.bool, device=items.device).triu()
        # Whoever sees nobody, as padding does, sees itself: a softmax of nothing is no number.
        may_see = may_see | torch.eye(items.shape[1], dtype=torch.bool, device=items.device)
        for block in self.blocks:
            items = block(items, may_see.unsqueeze(1))
        return self.norm(items) * is_there.unsqueeze(2)

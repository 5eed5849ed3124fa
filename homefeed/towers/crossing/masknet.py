"""Parallel MaskNet, the feature crossing of the source system.

Source: "Advancements in Embedding-Based Retrieval at Pinterest Homefeed" (2025), and MaskNet
(Wang et al., DLP-KDD 2021, arXiv 2102.07619, section 3.4), whose mask it keeps: a product with what
an MLP makes of the whole input.
"""

import torch
from torch import Tensor, nn

from homefeed.towers.crossing.config import MaskNetConfig
from homefeed.towers.crossing.norm import FieldNorm


class MaskBlock(nn.Module):
    """`MLP2b(x * MLP2a(x))`, both of two layers: `x[B, W]` to `[B, width]`."""

    def __init__(self, input_width: int, config: MaskNetConfig, dropout: float) -> None:
        super().__init__()
        hidden = max(1, round(config.ratio * input_width))
        last = nn.Linear(hidden, input_width)
        # A mask begins at one: the block is an MLP of x that learns what to let through.
        nn.init.ones_(last.bias)
        self.mask = nn.Sequential(nn.Linear(input_width, hidden), nn.ReLU(), last)
        self.output = nn.Sequential(
            nn.Linear(input_width, config.width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(config.width, config.width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`x[B, W]` to `[B, width]`."""
        return self.output(x * self.mask(x))


class MaskNet(nn.Module):
    """Blocks side by side on the same normalised fields, then a bottleneck.

    `fields[B, F, d]` to `[B, output_width]`; every field has a LayerNorm of its own.
    """

    def __init__(
        self,
        num_fields: int,
        dimension: int,
        output_width: int,
        config: MaskNetConfig,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = FieldNorm(num_fields, dimension)
        input_width = num_fields * dimension
        self.blocks = nn.ModuleList(
            MaskBlock(input_width, config, dropout) for _ in range(config.blocks)
        )
        self.bottleneck = nn.Sequential(
            nn.ReLU(),
            nn.Linear(config.blocks * config.width, config.width),
            nn.ReLU(),
            nn.Linear(config.width, output_width),
        )

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, output_width]`."""
        x = self.norm(fields).flatten(1)
        return self.bottleneck(torch.cat([block(x) for block in self.blocks], dim=1))

"""ID tables in 8 bits a number, a scale and an offset a row: a quarter of the memory.

Source: fbgemm's row-wise quantisation (`FloatToFused8BitRowwiseQuantized`), to the same levels, in
plain torch, so that serving needs no fbgemm.
"""

import torch
from torch import Tensor, nn

LEVELS = 255
_LEAST_RANGE = 1e-8
"""Added to a row's range before it divides: one whose numbers are all equal is its offset."""


class Int8Vectors(nn.Module):
    """A quantised table with the interface of `homefeed.towers.ids.IdVectors`."""

    levels: Tensor
    scales: Tensor
    offsets: Tensor

    def __init__(self, weight: Tensor) -> None:
        """Quantises vectors float32 `[rows, dimension]`; fine-tuned ones get no gradient here."""
        super().__init__()
        weight = weight.detach()
        low = weight.amin(dim=1, keepdim=True)
        width = weight.amax(dim=1, keepdim=True) - low
        levels = ((weight - low) * (LEVELS / (width + _LEAST_RANGE))).round().to(torch.uint8)
        self.register_buffer("levels", levels)
        self.register_buffer("scales", width / LEVELS)
        self.register_buffer("offsets", low)

    def forward(self, rows: Tensor) -> Tensor:
        """Looks `rows[B, V]` up and means over those that are not padding: `[B, dimension]`."""
        is_there = rows != 0
        found = self.levels[rows] * self.scales[rows] + self.offsets[rows]
        num_there = is_there.sum(dim=1, keepdim=True).clamp(min=1)
        return (found * is_there.unsqueeze(2)).sum(dim=1) / num_there

    def whole(self) -> Tensor:
        """The vectors that it stands for, `[rows, dimension]`."""
        return self.levels * self.scales + self.offsets

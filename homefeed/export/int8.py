"""ID tables in 8 bits a number, a scale and an offset a row: a quarter of the memory.

As fbgemm's row-wise quantisation has it (`FloatToFused8BitRowwiseQuantized`), in plain torch, so
that serving needs no fbgemm.
"""

import torch
from torch import Tensor, nn

LEVELS = 255
_LEAST_RANGE = 1e-8
"""Of a row whose numbers are all equal: it is kept by its offset."""


class Int8Vectors(nn.Module):
    """A quantised table with the interface of `homefeed.towers.ids.IdVectors`."""

    levels: Tensor
    scales: Tensor
    offsets: Tensor

    def __init__(self, weight: Tensor) -> None:
        """Quantises vectors float32 `[rows, dimension]`."""
        super().__init__()
        low, high = weight.amin(dim=1, keepdim=True), weight.amax(dim=1, keepdim=True)
        scale = (high - low).clamp(min=_LEAST_RANGE) / LEVELS
        levels = ((weight - low) / scale).round().clamp(0, LEVELS).to(torch.uint8)
        self.register_buffer("levels", levels)
        self.register_buffer("scales", scale)
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

"""LayerNorm of each field by itself."""

import torch
from torch import Tensor, nn


class FieldNorm(nn.Module):
    """`fields[B, F, d]` to the same shape; every field has a scale and a shift of its own."""

    def __init__(self, num_fields: int, dimension: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_fields, dimension))
        self.bias = nn.Parameter(torch.zeros(num_fields, dimension))

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, F, d]`."""
        normalised = nn.functional.layer_norm(fields, fields.shape[-1:])
        return normalised * self.weight + self.bias

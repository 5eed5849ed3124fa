"""MaskNet's blocks as products of matrices for all of them at once.

Block by block, a third of the time of a lone user's tower goes to calls of many small layers.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from homefeed.towers.crossing.masknet import MaskNet

Tower = TypeVar("Tower", bound=nn.Module)


class _Layers(nn.Module):
    """A linear layer of each of N blocks: `x[N, B, W]` to `[N, B, width]`."""

    weights: Tensor
    biases: Tensor

    def __init__(self, layers: list[nn.Linear]) -> None:
        super().__init__()
        weights = torch.stack([layer.weight.detach().t() for layer in layers])
        self.register_buffer("weights", weights.contiguous())
        self.register_buffer(
            "biases", torch.stack([layer.bias.detach() for layer in layers])[:, None]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.biases, x, self.weights)


class FusedMaskNet(nn.Module):
    """What a `MaskNet` makes of fields where it is served: `fields[B, F, d]` to `[B, width]`."""

    def __init__(self, net: MaskNet) -> None:
        """Takes the weights as they are."""
        super().__init__()
        self.norm, self.bottleneck = net.norm, net.bottleneck
        # By place in `MaskBlock`: what lies between them has no weights.
        self.mask_in, self.mask_out, self.output_in, self.output_out = (
            _Layers([getattr(block, side)[place] for block in net.blocks])
            for side, place in (("mask", 0), ("mask", 2), ("output", 0), ("output", 3))
        )
        self.num_blocks = len(net.blocks)

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, output_width]`."""
        x = self.norm(fields).flatten(1).expand(self.num_blocks, -1, -1)
        masks = self.mask_out(self.mask_in(x).relu())
        outputs = self.output_out(self.output_in(x * masks).relu())
        return self.bottleneck(outputs.transpose(0, 1).flatten(1))


def fuse(tower: Tower) -> Tower:
    """A copy of a tower whose MaskNets are fused."""
    fused = copy.deepcopy(tower)
    for module in list(fused.modules()):
        for name, child in module.named_children():
            if isinstance(child, MaskNet):
                setattr(module, name, FusedMaskNet(child))
    return fused

"""Rows of all processes, for losses over a whole batch of which each process has its share."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def of_all(own: Tensor) -> Tensor:
    """`[B, D]` of each process, in order of rank, `[B * processes, D]`; alone, the same.

    A gradient is that of the sum of all processes' losses. Training in step divides it by their
    number, as the mean of the losses does.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return own
    return _OfAll.apply(own)


class _OfAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]

"""What both ways to several embeddings share."""

import torch
from torch import Tensor


def squash(vectors: Tensor) -> Tensor:
    """`|v|^2 / (1 + |v|^2) * v / |v|` of `[..., d]` (Sabour et al., 2017, equation 1)."""
    squared = vectors.square().sum(dim=-1, keepdim=True)
    # The root's slope at zero is infinite, and a cluster without items is zeros.
    return vectors * squared / (1 + squared) / torch.sqrt(squared + 1e-9)


def count_clusters(num_items: Tensor, most: int, by_history: bool) -> Tensor:
    """Clusters of histories of some items: int64 of the same shape, 1 at least.

    `max(1, min(K, floor(log2 n)))`, or K but not more than there are items.

    Args:
        num_items: int64.
        most: K.
        by_history: which of the two.
    """
    wanted = num_items
    if by_history:
        # The exponent is 1 + floor(log2(n)), without a logarithm's rounding.
        wanted = torch.frexp(num_items.to(torch.float32))[1].to(torch.int64) - 1
    return wanted.clamp(min=1, max=most)


def by_mass(clusters: Tensor, mass: Tensor, is_used: Tensor) -> tuple[Tensor, Tensor]:
    """Clusters `[B, K, d]` and which are used `[B, K]`, heaviest first, unused ones last as zeros.

    Args:
        clusters: in any order.
        mass: how much was routed to each, `[B, K]`.
        is_used: bool `[B, K]`.
    """
    order = mass.masked_fill(~is_used, -1.0).argsort(dim=1, descending=True, stable=True)
    is_used = is_used.gather(1, order)
    sorted_clusters = clusters.gather(1, order.unsqueeze(2).expand_as(clusters))
    return sorted_clusters * is_used.unsqueeze(2), is_used

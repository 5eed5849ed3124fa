"""MIND's behaviour-to-interest dynamic routing.

Source: Li et al., "Multi-Interest Network with Dynamic Routing for Recommendation at Tmall", CIKM
2019 (arXiv 1904.08030), section 3.2.2 and algorithm 1: one bilinear map for all pairs of item and
capsule, routing logits that start by chance, and as many capsules as the history's length allows.
"""

import torch
from torch import Tensor, nn

from homefeed.towers.history.config import MindConfig
from homefeed.towers.history.routing import by_mass, count_clusters, squash

LOGITS_SEED = 0
"""Of the random start of the routing, which is drawn once: it only has to tell capsules apart."""


class Mind(nn.Module):
    """Capsules of a history, with the contract of `Clustering`."""

    logits: Tensor

    def __init__(self, dimension: int, length: int, config: MindConfig) -> None:
        """Takes the width d of an item, the most items L, and how to route."""
        super().__init__()
        self.most, self.iterations = config.embeddings, config.iterations
        self.by_history = config.count == "by_history"
        self.items = nn.Linear(2 * dimension, dimension)
        self.bilinear = nn.Linear(dimension, dimension, bias=False)
        generator = torch.Generator().manual_seed(LOGITS_SEED)
        self.register_buffer("logits", torch.randn(length, config.embeddings, generator=generator))

    def forward(self, pins: Tensor, actions: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor]:
        """Capsules of B histories, as `Clustering.forward`."""
        items = self.bilinear(self.items(torch.cat([pins, actions], dim=2)))
        items = items * is_there.unsqueeze(2)
        num_used = count_clusters(is_there.sum(dim=1), self.most, self.by_history)
        is_used = torch.arange(self.most, device=items.device) < num_used.unsqueeze(1)
        logits = self.logits[: items.shape[1]].unsqueeze(0)
        # Rounds but the last are without gradient, as in the code of ComiRec (arXiv 2005.09347).
        fixed = items.detach()
        for _ in range(self.iterations - 1):
            shares = self._shares(logits, is_used, is_there)
            capsules = squash(shares.transpose(1, 2) @ fixed)
            logits = logits + fixed @ capsules.transpose(1, 2)
        shares = self._shares(logits, is_used, is_there)
        capsules = squash(shares.transpose(1, 2) @ items)
        return by_mass(capsules, shares.sum(dim=1), is_used)

    def _shares(self, logits: Tensor, is_used: Tensor, is_there: Tensor) -> Tensor:
        unused = ~is_used.unsqueeze(1)
        shares = logits.masked_fill(unused, -torch.inf).softmax(dim=2)
        return shares * is_there.unsqueeze(2)

"""Differentiable clustering: a history becomes several embeddings.

Sources: MER (arXiv 2506.23060), section 3.2, and "Advancements in Embedding-Based Retrieval at
Pinterest Homefeed" (2025): capsule routing that starts from items far from each other (maxmin) and
in which an item feeds one cluster (single assignment).
"""

import torch
from torch import Tensor, nn

from homefeed.towers.history.config import ClusteringConfig
from homefeed.towers.history.routing import by_mass, count_clusters, squash


class Clustering(nn.Module):
    """Items `e_i = W2 GELU(W1 [pin, action])`, routed to clusters in some rounds.

    `b_ij = softmax_j(c_j' e_i)`, then `c_j = squash(sum_i b_ij e_i)`. Of `c_j` only the direction
    counts in the softmax, unless `centroids: squashed`.

    The first centroid is the item nearest to the mean of all, each further one the item whose
    largest similarity to those chosen is the least. Neither depends on the order of the items, so
    the set of clusters does not.

    A cluster that no item feeds is none: where a history is one pin over and over, there is one.
    """

    def __init__(self, dimension: int, config: ClusteringConfig) -> None:
        """Takes the width d of an item, and how to cluster."""
        super().__init__()
        self.most, self.iterations = config.embeddings, config.iterations
        self.by_history = config.count == "by_history"
        self.is_maxmin, self.is_single = config.start == "maxmin", config.assignment == "single"
        self.is_unit = config.centroids == "unit"
        # With a bias, what all items share outweighs what tells them apart.
        self.items = nn.Sequential(
            nn.Linear(2 * dimension, dimension, bias=False),
            nn.GELU(),
            nn.Linear(dimension, dimension, bias=False),
        )

    def forward(self, pins: Tensor, actions: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor]:
        """Clusters of B histories.

        Args:
            pins: looked-up vectors `[B, L, d]`.
            actions: likewise of what was done.
            is_there: false for padding, `[B, L]`.

        Returns:
            K clusters `[B, K, d]`, those that most is routed to first, and which of them a user
            has, `[B, K]`: one at least, zeros where there is no item.
        """
        items = self.items(torch.cat([pins, actions], dim=2)) * is_there.unsqueeze(2)
        num_used = count_clusters(is_there.sum(dim=1), self.most, self.by_history)
        is_used = torch.arange(self.most, device=items.device) < num_used.unsqueeze(1)
        clusters = self._start(items, is_there)
        mass = torch.zeros_like(is_used, dtype=items.dtype)
        for _ in range(self.iterations):
            centroids = nn.functional.normalize(clusters, dim=2) if self.is_unit else clusters
            scores = items @ centroids.transpose(1, 2)
            shares = scores.masked_fill(~is_used.unsqueeze(1), -torch.inf).softmax(dim=2)
            if self.is_single:
                is_best = nn.functional.one_hot(shares.argmax(dim=2), self.most)
                shares = shares * is_best
            shares = shares * is_there.unsqueeze(2)
            mass = shares.sum(dim=1)
            clusters = squash(shares.transpose(1, 2) @ items)
        is_used = is_used & ((mass > 0) | ~is_there.any(dim=1, keepdim=True))
        return by_mass(clusters, mass.detach(), is_used)

    def _start(self, items: Tensor, is_there: Tensor) -> Tensor:
        """Items to start from `[B, K, d]`; more than there are repeat one, and are not used."""
        if self.is_maxmin:
            places = self._far_apart(items.detach(), is_there)
        else:
            places = self._by_chance(is_there)
        return items.gather(1, places.unsqueeze(2).expand(-1, -1, items.shape[2]))

    def _far_apart(self, items: Tensor, is_there: Tensor) -> Tensor:
        """Places of K items `[B, K]`: the most central, then the least like those before.

        Args:
            items: `[B, L, d]`, zeros for padding.
            is_there: false for padding, `[B, L]`.
        """
        unit = nn.functional.normalize(items, dim=2)
        mean = unit.sum(dim=1, keepdim=True)
        nearest = (unit @ mean.transpose(1, 2)).squeeze(2)
        place = nearest.masked_fill(~is_there, -torch.inf).argmax(dim=1, keepdim=True)
        places = [place]
        largest = torch.full_like(nearest, -torch.inf)
        for _ in range(self.most - 1):
            last = unit.gather(1, place.unsqueeze(2).expand(-1, -1, items.shape[2]))
            largest = torch.maximum(largest, (unit @ last.transpose(1, 2)).squeeze(2))
            place = largest.masked_fill(~is_there, torch.inf).argmin(dim=1, keepdim=True)
            places.append(place)
        return torch.cat(places, dim=1)

    def _by_chance(self, is_there: Tensor) -> Tensor:
        """Places of K items `[B, K]`; in serving the newest, so that equal requests are equal."""
        length = is_there.shape[1]
        order = torch.arange(length, 0, -1, device=is_there.device) / (length + 1)
        chance = order.expand(is_there.shape)
        if self.training:
            chance = torch.rand(is_there.shape, device=is_there.device)
        best = chance.masked_fill(~is_there, -1.0).topk(min(self.most, length), dim=1).indices
        return nn.functional.pad(best, (0, self.most - best.shape[1]))

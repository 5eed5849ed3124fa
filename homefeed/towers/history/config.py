"""The transformer over a history, and the clusters that become several embeddings."""

from typing import Any, Literal

from homefeed.config import Config


def _at_least_one(config: Any, section: str, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{section}.{name}={getattr(config, name)} must be at least 1")


class SequenceConfig(Config, frozen=True):
    """A transformer over the history's items, pre-norm, as SASRec and PinnerFormer have it.

    SASRec on ml-1m (arXiv 1808.09781) is `towers.field_dimension: 50`, `history.length: 200` and
    `{blocks: 2, heads: 1, dropout: 0.2, causal: true, ages: false, actions: false}`.
    """

    blocks: int = 2
    heads: int = 2
    """Of the attention; they must divide `towers.field_dimension`."""
    width_ratio: float = 1.0
    """Hidden width of the feed-forward layers as a multiple of `towers.field_dimension`."""
    dropout: float = 0.0
    """Of items, and of what attention and feed-forward layers give."""
    causal: bool = False
    """Whether an item sees only older ones, as `training.examples: sequences` needs."""
    positions: bool = True
    """Whether an item's place, counted from the newest, is encoded."""
    ages: bool = True
    """Whether an item's age, counted from the newest, is encoded."""
    actions: bool = True
    """Whether what was done with the pin is encoded."""

    def __post_init__(self) -> None:
        _at_least_one(self, "towers.sequence", "blocks", "heads")
        if self.width_ratio <= 0:
            raise ValueError(f"towers.sequence.width_ratio={self.width_ratio} must be positive")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"towers.sequence.dropout={self.dropout} must lie in [0, 1)")


class ClusteringConfig(Config, frozen=True, tag_field="kind", tag="clustering"):
    """Differentiable clustering of the history, capsule-like.

    Source: MER (arXiv 2506.23060) and "Advancements in Embedding-Based Retrieval at Pinterest
    Homefeed" (2025). The number of iterations is not published; other implementations of capsule
    routing have three.
    """

    embeddings: int = 4
    """Most clusters, K."""
    count: Literal["by_history", "fixed"] = "by_history"
    """by_history: max(1, min(K, floor(log2 n))) of n items (MIND, arXiv 1904.08030, equation 9);
    fixed: K. Never more than there are items, but one."""
    iterations: int = 3
    start: Literal["maxmin", "random"] = "maxmin"
    """maxmin: each centroid starts as the item that is least like those before; random: items by
    chance."""
    assignment: Literal["single", "soft"] = "single"
    """single: an item feeds the centroid that it is nearest to alone; soft: all of them."""
    centroids: Literal["unit", "squashed"] = "unit"
    """What items are compared with. unit: the centroids' directions; squashed: centroids as they
    come out, as published. There a cluster of many items is longer, draws more, and leaves the
    others empty."""

    def __post_init__(self) -> None:
        _at_least_one(self, "towers.interests", "embeddings", "iterations")


class MindConfig(Config, frozen=True, tag_field="kind", tag="mind"):
    """MIND's dynamic routing, for comparison (Li et al., CIKM 2019, arXiv 1904.08030)."""

    embeddings: int = 4
    """Most capsules, K."""
    count: Literal["by_history", "fixed"] = "by_history"
    """As for `clustering`."""
    iterations: int = 3

    def __post_init__(self) -> None:
        _at_least_one(self, "towers.interests", "embeddings", "iterations")


InterestsConfig = ClusteringConfig | MindConfig

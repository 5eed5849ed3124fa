"""The several embeddings that a configuration asks for."""

from torch import nn

from homefeed.towers.history.clustering import Clustering
from homefeed.towers.history.config import InterestsConfig, MindConfig
from homefeed.towers.history.mind import Mind


def make_interests(dimension: int, length: int, config: InterestsConfig) -> nn.Module:
    """A module from items `[B, L, d]` to clusters `[B, K, d]`; see `Clustering`.

    Args:
        dimension: width of an item, d.
        length: most items, L.
        config: of the clusters.

    Raises:
        ValueError: there are more clusters than items.
    """
    if config.embeddings > length:
        raise ValueError(
            f"towers.interests.embeddings={config.embeddings} must be at most "
            f"features.history.length={length}: a cluster has an item at least"
        )
    if isinstance(config, MindConfig):
        return Mind(dimension, length, config)
    return Clustering(dimension, config)

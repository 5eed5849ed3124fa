"""Which ID embeddings the towers take out of a store: settled before they are trained."""

from pathlib import Path

from homefeed.contracts import Window, read_manifest
from homefeed.dataset.layout import DATASET, TRAIN
from homefeed.id_embeddings.store import IdEmbeddingStore
from homefeed.id_embeddings.window_rule import choose_table, of_granularity
from homefeed.towers.config import TowersConfig


def require_store(towers: TowersConfig, store: str) -> None:
    """Refuses a run whose ID embeddings could come from nowhere, before anything costs time.

    Args:
        towers: the towers section of a recipe.
        store: URL of the store; empty for none.

    Raises:
        ValueError: the section asks for ID embeddings and there is no store.
    """
    if towers.ids is not None and not store:
        raise ValueError(
            "towers.ids asks for ID embeddings, which lie in a store, and no store is given: give "
            "the run a store that pipeline pretrain_ids has published to, or set towers.ids: null"
        )


def choose_ids(dataset: Path, towers: TowersConfig, store: str) -> str:
    """The latest ID embeddings whose window ends before the training part begins.

    Args:
        dataset: the dataset artifact.
        towers: the towers section of a recipe.
        store: URL of the store.

    Returns:
        Their version; empty where the section asks for none.

    Raises:
        ValueError: there is no store, or it holds none that the towers may use; names the windows.
    """
    require_store(towers, store)
    if towers.ids is None:
        return ""
    source = read_manifest(dataset, DATASET)
    tables = of_granularity(IdEmbeddingStore(store).tables(), source.granularity)
    return choose_table(tables, Window(*source.details["windows"][TRAIN])).version

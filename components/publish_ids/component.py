"""Step 4 of ID pre-training: the tables go into a store, from which the towers take them."""

from kfp import dsl

from components.step import step


@step
def publish_ids(id_embeddings: dsl.Input[dsl.Model], store: str) -> str:
    """Uploads ID embeddings into a store, unless it holds the same already.

    Args:
        id_embeddings: the ID embeddings artifact.
        store: URL of the store; empty publishes nothing.

    Returns:
        The version that was published; empty for none.
    """
    from homefeed.stage import stage

    with stage("publish_ids"):
        from pathlib import Path

        from homefeed.id_embeddings.store import IdEmbeddingStore

        if not store:
            print("no store is given: the ID embeddings are not published")
            return ""
        version = IdEmbeddingStore(store).publish(Path(id_embeddings.path))
        print(f"published ID embeddings {version} in {store}")
        return version

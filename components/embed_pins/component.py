"""Step 8: one shard of the corpus becomes vectors."""

from kfp import dsl

from components.step import step


@step
def embed_pins(
    exported: dsl.Input[dsl.Model],
    corpus: dsl.Input[dsl.Dataset],
    shard: str,
    embeddings: dsl.Output[dsl.Dataset],
) -> None:
    """Embeds one shard of the corpus with the exported pin tower.

    Args:
        exported: the exported towers artifact.
        corpus: the corpus artifact.
        shard: which one of how many: "1/3" is the first of three.
        embeddings: the embeddings artifact.
    """
    from homefeed.stage import stage

    with stage("embed_pins", embeddings.metadata):
        from pathlib import Path

        from homefeed.corpus import embed

        number, num_shards = map(int, shard.split("/"))
        embed.embed_pins(
            Path(exported.path),
            Path(corpus.path),
            number - 1,
            num_shards,
            Path(embeddings.path),
        )

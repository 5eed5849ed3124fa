"""Step 9: the vectors of all shards become the search index, measured with users' vectors."""

from kfp import dsl

from components.step import step


@step
def build_index(
    corpus: dsl.Input[dsl.Dataset],
    embeddings: dsl.Input[list[dsl.Dataset]],
    users: dsl.Input[dsl.Dataset],
    config: str,
    index: dsl.Output[dsl.Artifact],
) -> None:
    """Builds the index of the corpus, and refuses one whose recall is too low.

    Args:
        corpus: the corpus artifact.
        embeddings: the embeddings artifacts of all its shards.
        users: the user embeddings artifact.
        config: the recipe's index section, as YAML.
        index: the index artifact.
    """
    from homefeed.stage import stage

    with stage("build_index", index.metadata):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.index import build
        from homefeed.index.config import IndexConfig

        build.build_index(
            Path(corpus.path),
            [Path(shard.path) for shard in embeddings],
            from_yaml(config, IndexConfig, "index"),
            Path(index.path),
            Path(users.path),
        )

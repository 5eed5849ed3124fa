"""Step 8, beside the pins: a sample of users becomes vectors, which the index is measured with."""

from kfp import dsl

from components.step import step


@step
def embed_users(
    exported: dsl.Input[dsl.Model],
    dataset: dsl.Input[dsl.Dataset],
    corpus: dsl.Input[dsl.Dataset],
    config: str,
    seed: int,
    users: dsl.Output[dsl.Dataset],
) -> None:
    """Embeds a sample of users, as known at serving time, with the exported user tower.

    Args:
        exported: the exported towers artifact.
        dataset: the dataset artifact.
        corpus: the corpus artifact, whose large interests users of conditional towers are asked
            for.
        config: the recipe's index section, as YAML.
        seed: of the sample.
        users: the user embeddings artifact.
    """
    from homefeed.stage import stage

    with stage("embed_users", users.metadata):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.index.config import IndexConfig
        from homefeed.release import embed_users

        embed_users.embed_users(
            Path(exported.path),
            Path(dataset.path),
            Path(corpus.path),
            from_yaml(config, IndexConfig, "index"),
            seed,
            Path(users.path),
        )

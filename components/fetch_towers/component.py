"""Step 2 of a refresh: the towers of the release in production."""

from typing import NamedTuple

from kfp import dsl

from components.step import step


@step
def fetch_towers(
    store: str,
    channel: str,
    features: str,
    config: str,
    exported: dsl.Output[dsl.Model],
) -> NamedTuple("Fetched", [("version", str)]):  # pyrefly: ignore[invalid-annotation]
    """Takes the towers of a published release, and checks that the recipe is the one they need.

    Args:
        store: URL of the release store.
        channel: what stands for the release.
        features: the recipe's features section, as YAML.
        config: the recipe's dataset section, as YAML.
        exported: the exported towers artifact; its metadata say which release they are from.

    Returns:
        The version of the release, as output `version`.
    """
    from homefeed.stage import stage

    with stage("fetch_towers", exported.metadata):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.dataset.config import DatasetConfig
        from homefeed.features.config import FeaturesConfig
        from homefeed.release import towers

        release = towers.fetch_towers(
            store,
            channel,
            from_yaml(features, FeaturesConfig, "features"),
            from_yaml(config, DatasetConfig, "dataset"),
            Path(exported.path),
        )
        exported.metadata["release"] = release.version
        exported.metadata["embedding_space"] = release.embedding_space
        return (release.version,)

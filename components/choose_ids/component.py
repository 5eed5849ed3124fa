"""Step 4: the ID embeddings that the towers may use, where they use any."""

from typing import NamedTuple

from kfp import dsl

from components.step import step


@step
def choose_ids(
    dataset: dsl.Input[dsl.Dataset],
    config: str,
    store: str,
) -> NamedTuple("Chosen", [("version", str), ("store", str)]):  # pyrefly: ignore[invalid-annotation]
    """Looks for the latest ID embeddings that end before the training part begins.

    Args:
        dataset: the dataset artifact.
        config: the recipe's towers section, as YAML.
        store: URL of the store that they are published in; empty where none are used.

    Returns:
        Their version, and the store in which they lie, as outputs `version` and `store`; both empty
        for none. The training takes them by these: KFP knows a step by its inputs, so it is not run
        again where the version is the same, nor for another store where it uses none.
    """
    from homefeed.stage import stage

    with stage("choose_ids"):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.towers import choose_ids
        from homefeed.towers.config import TowersConfig

        towers = from_yaml(config, TowersConfig, "towers")
        version = choose_ids.choose_ids(Path(dataset.path), towers, store)
        print(f"ID embeddings {version}" if version else "the recipe uses no ID embeddings")
        return version, store if version else ""

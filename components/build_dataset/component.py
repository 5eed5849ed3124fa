"""Step 3: events become examples and the fitted encoder."""

from kfp import dsl

from components.step import step


@step
def build_dataset(
    events: dsl.Input[dsl.Dataset],
    config: str,
    features: str,
    seed: int,
    dataset: dsl.Output[dsl.Dataset],
) -> None:
    """Builds training, validation and test examples and fits the encoder.

    Args:
        events: the events artifact.
        config: the recipe's dataset section, as YAML.
        features: the recipe's features section, as YAML.
        seed: of the random split.
        dataset: the dataset artifact.
    """
    from homefeed.stage import stage

    with stage("build_dataset", dataset.metadata):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.dataset import build
        from homefeed.dataset.config import DatasetConfig
        from homefeed.features.config import FeaturesConfig

        build.build_dataset(
            Path(events.path),
            from_yaml(config, DatasetConfig, "dataset"),
            from_yaml(features, FeaturesConfig, "features"),
            seed,
            Path(dataset.path),
        )

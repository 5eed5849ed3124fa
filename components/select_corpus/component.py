"""Step 7: the pins that can be served."""

from kfp import dsl

from components.step import step


@step
def select_corpus(
    dataset: dsl.Input[dsl.Dataset],
    config: str,
    features: str,
    pins_per_shard: int,
    corpus: dsl.Output[dsl.Dataset],
) -> list[str]:
    """Selects the pins that can be served: the best by time-decayed engagement.

    Args:
        dataset: the dataset artifact.
        config: the recipe's corpus section, as YAML.
        features: the recipe's features section, as YAML.
        pins_per_shard: most pins that one step embeds; more where that would be too many steps.
        corpus: the corpus artifact.

    Returns:
        The shards to embed: "1/3", "2/3", "3/3".
    """
    from homefeed.stage import stage

    with stage("select_corpus", corpus.metadata):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.corpus import select
        from homefeed.corpus.config import CorpusConfig
        from homefeed.corpus.shards import name_shards
        from homefeed.features.config import FeaturesConfig

        manifest = select.select_corpus(
            Path(dataset.path),
            from_yaml(config, CorpusConfig, "corpus"),
            from_yaml(features, FeaturesConfig, "features"),
            Path(corpus.path),
        )
        return name_shards(manifest.details["num_pins"], pins_per_shard)

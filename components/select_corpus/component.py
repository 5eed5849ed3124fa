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
    skew: dsl.Output[dsl.Markdown],
) -> list[str]:
    """Selects the pins that can be served: the best by time-decayed engagement.

    Args:
        dataset: the dataset artifact.
        config: the recipe's corpus section, as YAML.
        features: the recipe's features section, as YAML.
        pins_per_shard: most pins that one step embeds; more where that would be too many steps.
        corpus: the corpus artifact.
        skew: whether its statistics are those that training saw; a run whose are not stops here.

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
        from homefeed.corpus.skew import find_skew, refuse_skew
        from homefeed.corpus.skew_report import render_skew
        from homefeed.features.config import FeaturesConfig

        folder, output = Path(dataset.path), Path(corpus.path)
        wanted = from_yaml(config, CorpusConfig, "corpus")
        own_features = from_yaml(features, FeaturesConfig, "features")
        manifest = select.select_corpus(folder, wanted, own_features, output)
        skews = find_skew(folder, output, own_features, wanted.skew)
        Path(skew.path).write_text(render_skew(skews, wanted.skew))
        refuse_skew(skews, folder, output, wanted.skew)
        return name_shards(manifest.details["num_pins"], pins_per_shard)

"""Step 7: the corpus gives the pin tower the numbers that it was trained on."""

from kfp import dsl

from components.step import step


@step
def check_skew(
    dataset: dsl.Input[dsl.Dataset],
    corpus: dsl.Input[dsl.Dataset],
    config: str,
    skew: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Compares pins of recent training rows with the corpus; refuses too large a skew.

    Args:
        dataset: the dataset artifact.
        corpus: the corpus artifact that was made of it.
        config: the recipe's skew section, as YAML.
        skew: what was compared.
        metrics: the PSI of each feature.
        report: all of it, to read; there as well where a feature is refused.
    """
    from homefeed.stage import stage

    with stage("check_skew", skew.metadata):
        import shutil
        from pathlib import Path

        from components.metrics import log_metrics
        from homefeed.config import from_yaml
        from homefeed.corpus import skew as checks
        from homefeed.data_checks.config import SkewConfig
        from homefeed.data_checks.skew import REPORT_FILE

        output = Path(skew.path)
        section = from_yaml(config, SkewConfig, "skew")
        try:
            manifest = checks.check_skew(Path(dataset.path), Path(corpus.path), section, output)
        finally:
            if (output / REPORT_FILE).exists():
                shutil.copyfile(output / REPORT_FILE, report.path)
        psi = manifest.details["psi"]
        log_metrics(metrics, {f"PSI of {feature}": value for feature, value in psi.items()})

"""Step 10: serving encodes users as the training did."""

from kfp import dsl

from components.step import step


@step
def check_online_skew(
    dataset: dsl.Input[dsl.Dataset],
    release: dsl.Input[dsl.Model],
    config: str,
    skew: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Compares users of recent training rows as trained on and as served; refuses too large a skew.

    Args:
        dataset: the dataset artifact.
        release: the release that was made of it.
        config: the recipe's online_skew section, as YAML.
        skew: what was compared.
        metrics: the PSI of each feature.
        report: all of it, to read; there as well where a feature is refused.
    """
    from homefeed.stage import stage

    with stage("check_online_skew", skew.metadata):
        import shutil
        from pathlib import Path

        from components.metrics import log_metrics
        from homefeed.config import from_yaml
        from homefeed.release import skew as checks
        from homefeed.release.config import OnlineSkewConfig
        from homefeed.release.skew_report import REPORT_FILE

        output = Path(skew.path)
        section = from_yaml(config, OnlineSkewConfig, "online_skew")
        try:
            manifest = checks.check_online_skew(
                Path(dataset.path), Path(release.path), section, output
            )
        finally:
            if (output / REPORT_FILE).exists():
                shutil.copyfile(output / REPORT_FILE, report.path)
        psi = manifest.details["psi"]
        log_metrics(metrics, {f"PSI of {feature}": value for feature, value in psi.items()})

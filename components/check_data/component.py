"""Step 3: the data are checked before anything is trained on them."""

from kfp import dsl

from components.step import step


@step
def check_data(
    events: dsl.Input[dsl.Dataset],
    dataset: dsl.Input[dsl.Dataset],
    config: str,
    previous: str,
    checks: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Measures the data and holds them against the recipe's limits and the previous run's data.

    Args:
        events: the events artifact.
        dataset: the dataset artifact.
        config: the recipe's checks section, as YAML.
        previous: the profile of the previous run's data, as JSON; empty for none.
        checks: the profile and what was found wrong.
        metrics: of the data.
        report: the same and more, to read; there as well where the data are refused.

    Returns:
        The profile as JSON, without its days.
    """
    from homefeed.stage import stage

    with stage("check_data", checks.metadata):
        import shutil
        from pathlib import Path

        import msgspec

        from components.metrics import log_metrics
        from homefeed.config import from_yaml
        from homefeed.data_checks import check
        from homefeed.data_checks.config import ChecksConfig
        from homefeed.data_checks.layout import REPORT_FILE, Profile

        output = Path(checks.path)
        before = msgspec.json.decode(previous, type=Profile) if previous else None
        section = from_yaml(config, ChecksConfig, "checks")
        try:
            manifest = check.check_data(
                Path(events.path), Path(dataset.path), section, before, output
            )
        finally:
            if (output / REPORT_FILE).exists():
                shutil.copyfile(output / REPORT_FILE, report.path)
        profile = check.read_profile(output)
        counts = {f"num_{name}": getattr(profile, f"num_{name}") for name in ("users", "pins")}
        log_metrics(
            metrics,
            {
                "num_warnings": manifest.details["num_warnings"],
                "num_engagements": profile.num_engagements,
                **counts,
                "engagements a day": profile.volume,
                "duplicate share": profile.duplicate_share,
            },
        )
        return msgspec.json.encode(msgspec.structs.replace(profile, days={})).decode()

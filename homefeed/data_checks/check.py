"""Checks the data of a run before anything is trained on them."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from homefeed.config import to_builtins
from homefeed.contracts import Manifest, read_manifest, write_manifest
from homefeed.data_checks.config import ChecksConfig
from homefeed.data_checks.judge import judge
from homefeed.data_checks.layout import (
    DATA_CHECKS,
    FINDINGS_FILE,
    PROFILE_FILE,
    REPORT_FILE,
    Finding,
    Profile,
)
from homefeed.data_checks.profile import measure_data
from homefeed.data_checks.report import render_report
from homefeed.data_checks.schema import check_schemas
from homefeed.dataset.layout import DATASET
from homefeed.engine import open_engine
from homefeed.events.layout import EVENTS
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder


def check_data(
    events: Path, dataset: Path, config: ChecksConfig, previous: Profile | None, output: Path
) -> Manifest:
    """Measures the data and holds them against the limits; the report is written in any case.

    Args:
        events: the events artifact.
        dataset: the dataset artifact that was made of it.
        config: the checks section of a recipe.
        previous: the profile of the previous run's data; None where there is none.
        output: folder of the artifact: the profile, the findings, and a report to read.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: the artifacts do not belong together, or the data are beyond a limit whose
            breach is an error; names all of them.
    """
    log, made = read_manifest(events, EVENTS), read_manifest(dataset, DATASET)
    if made.inputs.get(EVENTS) != log.fingerprint:
        raise ValueError(
            f"{dataset} was not made of {events}: check a data set with its own events"
        )
    features = FeatureEncoder.load(dataset / FEATURES_FILE).config
    output.mkdir(parents=True, exist_ok=True)
    profile = None
    with open_engine(output) as engine:
        findings = check_schemas(engine, {EVENTS: events, DATASET: dataset})
        # Without its columns there is nothing to measure.
        if not findings:
            profile = measure_data(engine, events, dataset, config)
            findings = judge(profile, config, features, previous)
            (output / PROFILE_FILE).write_bytes(_json(profile))
    (output / FINDINGS_FILE).write_bytes(_json(findings))
    (output / REPORT_FILE).write_text(render_report(profile, findings, previous), "utf-8")
    _tell(findings)
    return write_manifest(
        output,
        Manifest(
            kind=DATA_CHECKS,
            window=log.window,
            inputs={EVENTS: log.fingerprint, DATASET: made.fingerprint},
            details={"num_warnings": len(findings), "config": to_builtins(config)},
        ),
    )


def read_profile(folder: Path) -> Profile:
    """The profile of a data checks' artifact."""
    return msgspec.json.decode((folder / PROFILE_FILE).read_bytes(), type=Profile)


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _tell(findings: Sequence[Finding]) -> None:
    """Prints warnings and refuses errors."""
    for finding in findings:
        if finding.level == "warning":
            print(f"warning: {finding.check}: {finding}", file=sys.stderr)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        lines = (f"  {finding.check}: {finding}" for finding in errors)
        title = "the data are not fit to train on, or the recipe's limits (checks:) are too narrow:"
        raise ValueError("\n".join([title, *lines]))

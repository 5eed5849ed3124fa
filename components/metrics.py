"""What a step's metrics are in KFP's interface: a table of names and numbers."""

import json
from collections.abc import Mapping
from pathlib import Path

from kfp import dsl

DIGITS = 4


def log_metrics(metrics: dsl.Metrics, values: Mapping[str, float]) -> None:
    """Puts the values, rounded, into a Metrics artifact."""
    rounded = {name: round(value, DIGITS) for name, value in values.items()}
    for name, value in rounded.items():
        metrics.log_metric(name, value)
    # KFP shows the metadata. The local cache takes an artifact without a file for a lost one.
    Path(metrics.path).write_text(json.dumps(rounded))

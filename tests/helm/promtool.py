"""Prometheus' own tool on rules and queries; tests that need it are skipped where it is not."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="needs promtool on the PATH, of Debian's package prometheus"
)


def check_rules(rules: dict[str, Any], folder: Path) -> str:
    """What `promtool check rules` says of a PrometheusRule's spec; it must be content."""
    return _run("check", "rules", _write(rules, folder / "rules.yaml"))


def check_query(query: str, folder: Path) -> None:
    """Parses a query, as one of a rule."""
    check_rules({"groups": [{"name": "query", "rules": [{"record": "x", "expr": query}]}]}, folder)


def run_rules(
    rules: dict[str, Any], series: dict[str, str], expected: list[dict[str, Any]], folder: Path
) -> None:
    """Plays series to rules and compares queries' answers, by `promtool test rules`.

    Args:
        rules: the spec of a PrometheusRule.
        series: a value for each minute, as promtool writes them, by the series' name and labels.
        expected: promtool's `promql_expr_test`.
        folder: takes the files.
    """
    _write(rules, folder / "rules.yaml")
    played = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": expected,
    }
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [played]}
    _run("test", "rules", _write(test, folder / "test.yaml"))


def _write(content: dict[str, Any], path: Path) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


def _run(*arguments: str) -> str:
    assert PROMTOOL is not None
    finished = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout

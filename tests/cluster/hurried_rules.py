"""The chart's rules, in a Prometheus of their own that reads what the cluster's has scraped.

Time is short: a minute of the rules is an eighth of a second, so that a budget that burns for days
burns in a test. No window is shorter than four scrapes, and nothing else of a rule is changed.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from serving.local import free_ports
from serving.processes import Child

PROMETHEUS = shutil.which("prometheus")
SECONDS_OF_A_MINUTE = 0.125
SHORTEST_SECONDS = 20
"""Of a window."""
STALE_SECONDS = 15
"""After which a series that ended without a word is gone."""
MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
WAIT_SECONDS = 240
START_SECONDS = 30

Alert = tuple[str, str]
"""The name, and the window of one on a budget."""


def hurried(rules: dict[str, Any]) -> dict[str, Any]:
    """The spec of a PrometheusRule whose windows and pauses are short."""
    groups = [
        {**group, "rules": [_hurry(rule) for rule in group["rules"]]} for group in rules["groups"]
    ]
    return {"groups": groups}


def _hurry(rule: dict[str, Any]) -> dict[str, Any]:
    def window(found: re.Match[str]) -> str:
        return f"[{max(SHORTEST_SECONDS * 1000, _milliseconds(found[1]))}ms]"

    quick = {**rule, "expr": re.sub(r"\[(\d+[mhd])\]", window, rule["expr"])}
    return quick | ({"for": f"{_milliseconds(rule['for'])}ms"} if "for" in rule else {})


def _milliseconds(duration: str) -> int:
    return round(int(duration[:-1]) * MINUTES[duration[-1]] * SECONDS_OF_A_MINUTE * 1000)


class HurriedRules:
    """A Prometheus that evaluates them every second."""

    def __init__(self, address: str) -> None:
        self._address = address

    def firing(self) -> set[Alert]:
        """What fires now."""
        answer = httpx.get(f"{self._address}/api/v1/alerts", trust_env=False)
        assert answer.status_code == 200, answer.text
        return {
            (alert["labels"]["alertname"], alert["labels"].get("window", ""))
            for alert in answer.json()["data"]["alerts"]
            if alert["state"] == "firing"
        }

    def wait_until_fired(self, alerts: set[Alert]) -> float:
        """Waits until each has fired, not all at once; returns the seconds that it took."""
        start, fired = time.monotonic(), set()
        while not fired >= alerts:
            assert time.monotonic() < start + WAIT_SECONDS, (alerts - fired, fired)
            fired |= self.firing()
            time.sleep(0.5)
        return time.monotonic() - start

    def wait_until_quiet(self) -> None:
        """Waits until nothing fires."""
        start = time.monotonic()
        while firing := self.firing():
            assert time.monotonic() < start + WAIT_SECONDS, firing
            time.sleep(0.5)

    def is_there(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self._address}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def hurried_rules(
    rules: dict[str, Any], prometheus: str, also_scrape: str, folder: Path
) -> Iterator[HurriedRules]:
    """Evaluates rules on what a Prometheus has.

    Args:
        rules: the spec of a PrometheusRule.
        prometheus: address of the one that scrapes the cluster.
        also_scrape: host and port of an exporter that it knows nothing of.
        folder: takes the files.
    """
    if PROMETHEUS is None:
        pytest.skip("needs prometheus on the PATH, of Debian's package of this name")
    (port,) = free_ports(1)
    exporter = {
        "job_name": "exporter",
        "honor_labels": True,
        "scrape_interval": "5s",
        "static_configs": [{"targets": [also_scrape]}],
    }
    configuration = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "remote_read": [{"url": f"{prometheus}/api/v1/read", "read_recent": True}],
        "scrape_configs": [exporter],
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump(hurried(rules)))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    command = [
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--query.lookback-delta={STALE_SECONDS}s",
    ]
    process = Child("prometheus", command, os.environ, folder / "prometheus.log")
    try:
        started = HurriedRules(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + START_SECONDS
        while not started.is_there():
            process.check()
            assert time.monotonic() < deadline, process.tail()
            time.sleep(0.2)
        yield started
    finally:
        process.stop()

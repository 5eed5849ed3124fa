"""What the tests of serving watch: metrics, processes, and conditions that come true."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

WAIT_SECONDS = 60.0


def sum_samples(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have some labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def metric(url: str, name: str, **labels: str) -> float:
    return sum_samples(httpx.get(url).text, name, **labels)


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Waits for what must come true; how long it takes is no matter."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and is not yet reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]

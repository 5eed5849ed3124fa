"""A soak: minutes at a steady 70 % of what the servers can do, with memory and p99 by minute."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psutil
from tqdm import tqdm

from benchmarks.serving import servers
from benchmarks.serving.figures import (
    P50,
    P99,
    THROUGHPUT,
    UNITS,
    describe,
    make_record,
    ratio_record,
)
from benchmarks.serving.load import Load, generate
from benchmarks.serving.plan import Corpus, Plan
from benchmarks.serving.releases import Releases
from benchmarks.serving.users import plain_bodies, sample_users
from homefeed.evaluation.results import Record
from serving.local import LocalServing

SOAK = "serving-soak"
SHARE = 0.7
CONNECTIONS = 16
FULL_LOAD_SECONDS = 20.0
"""Of load without a rate, before the soak: it warms the servers up and finds the rate."""
SECONDS_A_MINUTE = 60.0
MIB = 2**20


def measure_soak(
    corpus: Corpus,
    releases: Releases,
    plan: Plan,
    work: Path,
    num_minutes: int,
    seconds_a_minute: float = SECONDS_A_MINUTE,
) -> Iterator[Record]:
    """Loads one release for some minutes.

    Yields:
        Records of each minute, and how the last compares with the first.

    Raises:
        RuntimeError: a server does not start, or answers nothing.
    """
    release = releases.release(corpus.num_pins)
    bodies = plain_bodies(sample_users(release, plan.num_users))
    minutes: list[dict[str, float]] = []
    with (
        servers.homefeed(release, work / "soak") as serving,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator,
    ):
        target = servers.homefeed_target(serving)._replace(bodies=bodies)

        def load(seconds: float, rate: float | None) -> Load:
            return generator.submit(generate, target, CONNECTIONS, seconds, rate).result()

        full = load(min(FULL_LOAD_SECONDS, seconds_a_minute), None)
        rate = SHARE * describe(full)[THROUGHPUT]
        title = f"{corpus.title} at {rate:.0f} requests/s"
        for _ in tqdm(range(num_minutes), desc=title, unit="minute"):
            minutes.append(describe(load(seconds_a_minute, rate)) | _memory(serving))
    for minute, values in enumerate(minutes, 1):
        for metric, value in values.items():
            unit = UNITS.get(metric, "MiB")
            yield make_record(SOAK, f"{corpus.title}, minute {minute}", metric, unit, [value])
    for metric in (P50, P99, *_memory_of(minutes[0])):
        name = f"{corpus.title}, last / first minute"
        yield ratio_record(SOAK, name, metric, [minutes[-1][metric]], [minutes[0][metric]])


def _memory_of(minute: dict[str, float]) -> list[str]:
    return [metric for metric in minute if metric.startswith("memory of")]


def _memory(serving: LocalServing) -> dict[str, float]:
    """Resident memory of TorchServe's frontend, of its workers together, and of the sidecar.

    The index is mapped and counts where it was read.
    """
    frontend = psutil.Process(serving.state.pids["torchserve"])
    sidecar = psutil.Process(serving.state.pids["sidecar"])
    parts = {
        "frontend": [frontend],
        "workers": frontend.children(recursive=True),
        "sidecar": [sidecar],
    }
    return {
        f"memory of {name}": sum(each.memory_info().rss for each in processes) / MIB
        for name, processes in parts.items()
    }

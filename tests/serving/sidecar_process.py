"""The sidecar as a process of its own, over a real Unix socket."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.serving.observing import sum_samples


class Sidecar(NamedTuple):
    """A running process and how to reach it."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]
    search: httpx.Client
    operations: httpx.Client

    def metric(self, name: str, **labels: str) -> float:
        return sum_samples(self.operations.get("/metrics").text, name, **labels)


@contextmanager
def running(release: Path, socket_path: Path, *options: str) -> Iterator[Sidecar]:
    command = [sys.executable, "-m", "serving.index_sidecar", "--release", str(release)]
    command += ["--socket", str(socket_path), "--metrics-port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            facts = json.loads(process.stderr.readline())
            assert facts["event"] == "serving", facts
            port = facts["metrics_port"]
            with (
                httpx.Client(
                    transport=httpx.HTTPTransport(uds=str(socket_path)), base_url="http://sidecar"
                ) as search,
                httpx.Client(base_url=f"http://127.0.0.1:{port}") as operations,
            ):
                yield Sidecar(process, facts, search, operations)
        finally:
            process.kill()

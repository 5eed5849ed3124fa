"""`make e2e-cluster`: the images, the demo's release and a cluster, then the tests that need them.

    KUBECONFIG                a cluster of one node that tests may change, with an administrator's
                              rights; where it is not set, one of this machine is started
    HOMEFEED_LOAD_IMAGES      a command that puts image archives onto its node, such as
                              `kind load image-archive`
    HOMEFEED_E2E_REGISTRY     or a registry that the images are pushed to and it pulls from
    HOMEFEED_CLUSTER          the program that starts a cluster (../shared/cluster/cluster)
    HOMEFEED_E2E_PROMETHEUS   address of a Prometheus that scrapes the cluster, if there is one
    HOMEFEED_E2E_RESULTS      file for the figures

`--full` adds the tests that are marked `full`, as `make e2e-cluster-full` does; other arguments go
to pytest. Tests make namespaces of their own and remove them; one runs a pod of root
with the node's files and processes, to kill some with -9.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from images.base import base_image
from images.build import IMAGES, Build, Image
from images.engine import run_podman
from images.sources import pip_sources
from tests.cluster.figures import EXPERIMENT

ROOT = Path(__file__).parents[2]
TAG = "e2e"
LOAD_IMAGES, REGISTRY = "HOMEFEED_LOAD_IMAGES", "HOMEFEED_E2E_REGISTRY"
S3_SERVER = Image("s3-server", "tests/cluster/s3_server/Containerfile", budget_bytes=350_000_000)
ON_NODES = ("homefeed-torchserve", "homefeed-index-sidecar", S3_SERVER.name)
"""Onto which all images come but the pipeline's, which the tests bring that run it in pods."""
WORK = ROOT / "build" / "demo"
RECIPE = "ml-1m"
FULL = "--full"
NO_CLUSTER = """\
there is no cluster to test on: set KUBECONFIG to one of one node, such as of `kind create
cluster`, and HOMEFEED_LOAD_IMAGES to the command that puts an image archive onto its node, such as
`kind load image-archive`"""
NO_IMAGES = """\
KUBECONFIG={kubeconfig} names a cluster, but nothing says how images get there: set
HOMEFEED_LOAD_IMAGES to the command that puts an image archive onto its node, such as
`kind load image-archive`, or HOMEFEED_E2E_REGISTRY to a registry that it pulls from"""


def main(arguments: list[str]) -> int:
    """Prepares everything and runs the tests; returns pytest's exit code."""
    # So that contexts are left, and a cluster that was started is ended.
    signal.signal(signal.SIGTERM, _exit)
    is_full, arguments = FULL in arguments, [each for each in arguments if each != FULL]
    results = os.environ.get("HOMEFEED_E2E_RESULTS")
    if results and Path(results).name != f"{EXPERIMENT}.json":
        raise RuntimeError(f"RESULTS={results}: the figures go to a file named {EXPERIMENT}.json")
    registry = os.environ.get(REGISTRY) or "localhost/homefeed"
    with cluster():
        build_images(registry)
        for name in ON_NODES:
            deliver(f"{registry}/{name}:{TAG}")
        run([str(Path(sys.executable).with_name("homefeed")), "run", RECIPE, "--work", str(WORK)])
        return run_tests(
            ["-m", "cluster" if is_full else "cluster and not full", *arguments],
            HOMEFEED_TEST_CLUSTER="1",
            HOMEFEED_E2E_TARGET="e2e-cluster-full" if is_full else "e2e-cluster",
            HOMEFEED_E2E_IMAGES=f"{registry}:{TAG}",
            HOMEFEED_E2E_WORK=str(WORK),
        )


@contextmanager
def cluster() -> Iterator[None]:
    """A cluster in KUBECONFIG, to which `deliver` can bring images.

    Raises:
        RuntimeError: there is none, or images cannot get there; says what to do.
    """
    if kubeconfig := os.environ.get("KUBECONFIG"):
        if not any(os.environ.get(name) for name in (LOAD_IMAGES, REGISTRY)):
            raise RuntimeError(NO_IMAGES.format(kubeconfig=kubeconfig))
        yield
        return
    program = os.environ.get("HOMEFEED_CLUSTER", str(ROOT.parent / "shared/cluster/cluster"))
    if not Path(program).is_file():
        raise RuntimeError(NO_CLUSTER)
    # One that runs already is someone's, who will want it afterwards.
    ours = not is_running(program)
    try:
        started = start(program)
        print(started, end="", flush=True)
        for line in started.splitlines():
            if line.startswith("export KUBECONFIG="):
                os.environ["KUBECONFIG"] = line.partition("=")[2]
            if line.startswith("Prometheus: "):
                os.environ["HOMEFEED_E2E_PROMETHEUS"] = line.partition(" ")[2]
        os.environ[LOAD_IMAGES] = shlex.join([program, "load"])
        yield
    finally:
        if ours:
            run([program, "down"])


def start(program: str) -> str:
    """Starts a cluster; returns what the program printed.

    Raises:
        RuntimeError: it does not start.
    """
    command = [program, "up", "--prometheus", "--trainer"]
    try:
        return run(command, capture=True)
    except RuntimeError as failure:
        # It goes on from where it was, and has been seen to give up on a part that was only slow.
        print(f"{failure}; once more", flush=True)
        return run(command, capture=True)


def is_running(program: str) -> bool:
    """Whether a cluster that the program has started is there."""
    status = subprocess.run([program, "status"], capture_output=True, text=True).stdout
    parts = dict(line.split() for line in status.splitlines() if len(line.split()) == 2)
    return parts.get("kube-apiserver") == "running"


def build_images(registry: str) -> None:
    """Builds every image, and the S3 server of the tests."""
    base = base_image()
    with pip_sources() as sources:
        for image in (*IMAGES, S3_SERVER):
            Build(image, registry, TAG).run(base, sources)


def deliver(name: str) -> None:
    """Brings an image to where the cluster finds it: onto its node, or into its registry."""
    command = os.environ.get(LOAD_IMAGES)
    if not command:
        run(["podman", "push", name])
        return
    with tempfile.TemporaryDirectory() as scratch:
        archive = f"{scratch}/image.tar"
        run_podman("save", "--quiet", "--format", "docker-archive", "--output", archive, name)
        run([*shlex.split(command), archive])


def run_tests(arguments: list[str], **variables: str) -> int:
    """Runs the tests; Ctrl-C and SIGTERM let them clean up. Returns pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "--durations=10", *arguments]
    # In a group of its own: a terminal's Ctrl-C reaches it once, from here.
    tests = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        process_group=0,
    )

    def interrupt(number: int, frame: FrameType | None) -> None:
        tests.send_signal(signal.SIGINT)

    handlers = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        return tests.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def run(command: list[str], capture: bool = False) -> str:
    """Runs a command to its end; returns what it printed, where that is captured.

    Raises:
        RuntimeError: it failed.
    """
    output = subprocess.PIPE if capture else None
    done = subprocess.run(command, cwd=ROOT, stdout=output, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed with exit code {done.returncode}")
    return done.stdout or ""


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RuntimeError as failure:
        sys.exit(f"e2e-cluster: {failure}")

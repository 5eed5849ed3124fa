"""`make e2e-cluster`: the images, the demo's release and a cluster, then the tests that need them.

    KUBECONFIG                the cluster; where it is not set, one of this machine is started
    HOMEFEED_CLUSTER          the program that starts one (../shared/cluster/cluster)
    HOMEFEED_LOAD_IMAGES      a command that puts image archives onto the nodes of KUBECONFIG's
                              cluster, such as `kind load image-archive`
    HOMEFEED_E2E_PROMETHEUS   address of a Prometheus that scrapes that cluster, if there is one
    HOMEFEED_E2E_RESULTS      file for the figures

Arguments go to pytest.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from images.base import base_image
from images.build import IMAGES, Build, Image
from images.engine import run_podman
from images.sources import pip_sources

ROOT = Path(__file__).parents[2]
REGISTRY, TAG = "localhost/homefeed", "e2e"
S3_SERVER = Image("s3-server", "tests/cluster/s3_server/Containerfile", budget_bytes=350_000_000)
ON_NODES = ("homefeed-torchserve", "homefeed-index-sidecar", S3_SERVER.name)
WORK = ROOT / "build" / "demo"
RECIPE = "ml-1m"
HOW = """\
there is no cluster to test on: set KUBECONFIG to one, such as of `kind create cluster`, and
HOMEFEED_LOAD_IMAGES to the command that puts an image archive onto its nodes, such as
`kind load image-archive`"""


def main(arguments: list[str]) -> int:
    """Prepares everything and runs the tests; returns pytest's exit code."""
    with cluster() as load:
        load_images(load, build_images())
        homefeed = Path(sys.executable).with_name("homefeed")
        run([str(homefeed), "run", RECIPE, "--work", str(WORK)])
        os.environ["HOMEFEED_E2E_IMAGES"] = f"{REGISTRY}:{TAG}"
        os.environ["HOMEFEED_E2E_WORK"] = str(WORK)
        pytest = [sys.executable, "-m", "pytest", "-m", "cluster", "--durations=10", *arguments]
        return subprocess.run(pytest, cwd=ROOT).returncode


@contextmanager
def cluster() -> Iterator[list[str]]:
    """A cluster in KUBECONFIG, and the command that puts image archives onto its nodes.

    Raises:
        RuntimeError: there is none; says what to do.
    """
    if "KUBECONFIG" in os.environ:
        if not (load := os.environ.get("HOMEFEED_LOAD_IMAGES")):
            raise RuntimeError(HOW)
        yield shlex.split(load)
        return
    program = Path(os.environ.get("HOMEFEED_CLUSTER", ROOT.parent / "shared/cluster/cluster"))
    if not program.is_file():
        raise RuntimeError(HOW)
    started = run([str(program), "up", "--prometheus"], capture=True)
    print(started, end="", flush=True)
    for line in started.splitlines():
        if line.startswith("export KUBECONFIG="):
            os.environ["KUBECONFIG"] = line.partition("=")[2]
        if line.startswith("Prometheus: "):
            os.environ["HOMEFEED_E2E_PROMETHEUS"] = line.partition(" ")[2]
    try:
        yield [str(program), "load"]
    finally:
        run([str(program), "down"])


def build_images() -> list[str]:
    """Builds every image; returns the names of those that pods of the tests run."""
    base, sources = base_image(), pip_sources()
    for image in (*IMAGES, S3_SERVER):
        Build(image, REGISTRY, TAG).run(base, sources)
    return [f"{REGISTRY}/{name}:{TAG}" for name in ON_NODES]


def load_images(load: list[str], names: list[str]) -> None:
    """Puts images onto the cluster's nodes."""
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            archive = f"{scratch}/image.tar"
            run_podman("save", "--quiet", "--format", "docker-archive", "--output", archive, name)
            run([*load, archive])


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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RuntimeError as failure:
        sys.exit(f"e2e-cluster: {failure}")

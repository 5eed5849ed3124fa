"""`train_and_release`, each step in the pipeline's image: kfp.local's DockerRunner, on podman."""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from components.image import IMAGE_VARIABLE
from homefeed.events.movielens import fetch
from homefeed.release.store import ReleaseStore
from homefeed.stage import SECONDS
from images.engine import run_podman
from serving.processes import Child
from tests.cluster.docker_run import LABEL

ROOT = Path(__file__).parents[2]
OUTPUT_FILE = "executor_output.json"
"""What KFP's executor leaves in the folder of every step."""
START_SECONDS = 30


class ImageRun(NamedTuple):
    """A run's release, and how it came to be."""

    version: str
    store: Path
    """The release store, a folder."""
    steps: Path
    """Folder of each step's outputs, by the step's name."""
    images: list[str]
    """Of each container that ran."""
    seconds: float
    stages: dict[str, float]
    """Seconds within each stage that notes them; of one that ran in shards, of all shards."""


def run_in_images(image: str, recipe: str, folder: Path) -> ImageRun:
    """Runs the pipeline, which must succeed; no container is left.

    Args:
        image: the pipeline's; podman has it, or can pull it.
        recipe: the name of a shipped one, on MovieLens.
        folder: gets the outputs, the release store and KFP's log.
    """
    runs, store, log = folder / "runs", folder / "store", folder / "kfp.log"
    for each in (runs, store):
        each.mkdir()
        # The containers' user is none of this machine's.
        each.chmod(0o777)
    label = uuid.uuid4().hex
    command = [sys.executable, "-W", "ignore", "-m", "tests.cluster.docker_run"]
    command += [recipe, str(runs), str(store), str(fetch()), label]
    start = time.monotonic()
    try:
        with podman_socket() as address, log.open("w") as output:
            variables = {**os.environ, IMAGE_VARIABLE: image, "DOCKER_HOST": address}
            code = subprocess.run(
                command, cwd=ROOT, env=variables, stdout=output, stderr=output
            ).returncode
        seconds = time.monotonic() - start
        images = _container_images(label)
    finally:
        run_podman("rm", "--force", "--all", "--filter", f"label={LABEL}={label}")
    assert code == 0, _explain(log)
    (steps,) = runs.iterdir()
    (version,) = ReleaseStore(str(store)).versions()
    return ImageRun(version, store, steps, images, seconds, _stage_seconds(steps))


@contextmanager
def podman_socket() -> Iterator[str]:
    """What DOCKER_HOST is to be for podman to answer as Docker."""
    # pytest's folders have names that are too long for a socket.
    with TemporaryDirectory(prefix="homefeed-") as folder:
        socket = Path(folder) / "podman.sock"
        address = f"unix://{socket}"
        command = ["podman", "system", "service", "--time=0", address]
        service = Child("podman", command, os.environ, Path(folder) / "podman.log")
        try:
            deadline = time.monotonic() + START_SECONDS
            while not socket.is_socket():
                service.check()
                assert time.monotonic() < deadline, service.tail()
                time.sleep(0.05)
            yield address
        finally:
            service.stop()


def _container_images(label: str) -> list[str]:
    options = ("--all", "--filter", f"label={LABEL}={label}", "--format", "{{.Image}}")
    return run_podman("ps", *options).stdout.split()


def _explain(log: Path) -> str:
    """What the stages that failed said last, else the end of KFP's log."""
    text = log.read_text()
    failures = re.findall(r"^\s*(\w+ failed: .*)$", text, re.MULTILINE)
    return "\n".join(failures) or text[-8000:]


def _stage_seconds(steps: Path) -> dict[str, float]:
    stages: dict[str, float] = {}
    for file in steps.rglob(OUTPUT_FILE):
        name = file.parent.name.replace("-", "_")
        for artifacts in json.loads(file.read_text()).get("artifacts", {}).values():
            for artifact in artifacts["artifacts"]:
                if SECONDS in artifact["metadata"]:
                    stages[name] = stages.get(name, 0.0) + artifact["metadata"][SECONDS]
    return stages

"""Containers of the built images, with no more rights than a restricted pod's."""

import os
import shutil

import pytest

from images.engine import run_podman

VARIABLE = "HOMEFEED_E2E_IMAGES"
RESTRICTED = (
    "--network=none",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    # As in Kubernetes, a user that the image does not know has no name.
    "--passwd=false",
    # By default podman raises them to its own, which not every machine may do.
    *("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"),
)


def built_image(name: str) -> str:
    """The whole name of an image under test; skips the test where there is none."""
    if VARIABLE not in os.environ:
        pytest.skip(f"needs the built images: {VARIABLE}=registry:tag is not set")
    if shutil.which("podman") is None:
        pytest.skip("needs podman")
    registry, _, tag = os.environ[VARIABLE].rpartition(":")
    reference = f"{registry}/{name}:{tag}"
    run_podman("image", "exists", reference)
    return reference


def run_python(reference: str, code: str, *options: str) -> str:
    """What a Python program prints in a container."""
    command = ("run", "--rm", *RESTRICTED, *options, reference, "python", "-c", code)
    return run_podman(*command).stdout

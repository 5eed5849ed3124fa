"""Podman, which builds the images and runs them: found or installed, and called."""

import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache

from homefeed.cache import cache_folder

PODMAN_DEFAULT_OPEN_FILES = 1_048_576
"""What podman wants to raise each container's limit to, which not every machine may do."""
PROCESSES = 4096
"""Of a container, where podman may not raise the machine's limit: enough for any of ours."""
DEBIAN_PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "catatonit")


def run_podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs podman to its end; returns what it printed.

    Raises:
        RuntimeError: it failed and `check` is set; holds the end of what it said.
    """
    command = ["podman", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    return done


def stream_podman(*arguments: str) -> None:
    """Runs podman and lets it print; long commands show how far they are.

    Raises:
        RuntimeError: it failed.
    """
    command = ["podman", *arguments]
    if subprocess.run(command, env=environment()).returncode:
        raise RuntimeError(f"{' '.join(command)} failed; what it said stands above")


@cache
def environment() -> Mapping[str, str]:
    """The environment podman runs in.

    Raises:
        RuntimeError: there is no podman and it cannot be installed here; says what to do.
    """
    if shutil.which("podman") is None:
        install_debian(*DEBIAN_PACKAGES)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if "CONTAINERS_CONF" in os.environ or not 0 <= most_files < PODMAN_DEFAULT_OPEN_FILES:
        return os.environ
    # Inside a container podman may not raise limits, and its defaults would fail every start.
    limits = f'"nofile={most_files}:{most_files}", "nproc={PROCESSES}:{PROCESSES}"'
    settings = cache_folder() / "containers.conf"
    settings.write_text(f"[containers]\ndefault_ulimits = [{limits}]\n")
    return {**os.environ, "CONTAINERS_CONF": str(settings)}


def install_debian(*packages: str) -> None:
    """Installs Debian packages where this process may.

    Raises:
        RuntimeError: it may not, or there is no apt-get, or it failed.
    """
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(
            f"this needs {packages[0]}: install it (on Debian: apt install {wanted})"
        )
    print(f"installing {wanted}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(["apt-get", *command], env=quiet, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"apt-get {' '.join(command)} failed:\n{done.stderr[-2000:]}")

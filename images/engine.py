"""Podman, which builds the images and runs them: found or installed, and called."""

import os
import resource
import shutil
import subprocess

PODMAN_DEFAULT_OPEN_FILES = 1_048_576
"""What podman wants to raise each container's limit to, which not every machine may do."""
PROCESSES = 4096
"""Of a container, where podman may not raise the machine's limit: enough for any of ours."""
DEBIAN_PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "iptables", "catatonit")
"""netavark calls iptables, and does not depend on it."""


def run_podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs podman to its end; returns what it printed.

    Raises:
        RuntimeError: it failed and `check` is set; holds the end of what it said.
    """
    ensure_podman()
    command = ["podman", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    return done


def stream_podman(*arguments: str) -> None:
    """Runs podman and lets it print what it does.

    Raises:
        RuntimeError: it failed.
    """
    ensure_podman()
    command = ["podman", *arguments]
    if subprocess.run(command).returncode:
        raise RuntimeError(f"{' '.join(command)} failed; what it said stands above")


def limits() -> list[str]:
    """Options of `podman build` and `podman run` on a machine that may not raise its limits.

    Inside a container podman cannot give others what it gives them by default.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not 0 <= most_files < PODMAN_DEFAULT_OPEN_FILES:
        return []
    return [f"--ulimit=nofile={most_files}:{most_files}", f"--ulimit=nproc={PROCESSES}:{PROCESSES}"]


def ensure_podman() -> None:
    """Installs podman where there is none.

    Raises:
        RuntimeError: it cannot be installed here; says what to do.
    """
    if shutil.which("podman") is None:
        install_debian(*DEBIAN_PACKAGES)


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

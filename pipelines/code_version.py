"""Which code a run's steps run: in a cluster the image's tag says so, on this machine a hash."""

import hashlib
import sys
from importlib import metadata, resources
from pathlib import Path

from homefeed.contracts import sha256_file

PACKAGES = ("homefeed", "components", "pipelines", "serving")
NOT_RUN = {"__pycache__", "cli", "recipes", "id_recipes", "compiled"}
"""Folders that no step runs or reads; a recipe's text is an input of its own."""


def code_version() -> str:
    """A hash that changes with the library's files, Python and every installed package."""
    digest = hashlib.sha256(sys.version.encode())
    for package in PACKAGES:
        digest.update(hash_sources(Path(str(resources.files(package)))).encode())
    installed = sorted(f"{each.name}=={each.version}" for each in metadata.distributions())
    digest.update("\n".join(installed).encode())
    return digest.hexdigest()[:16]


def hash_sources(package: Path) -> str:
    """sha256 over the names and contents of a package's files, less what no step runs."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package)
        if path.is_file() and NOT_RUN.isdisjoint(name.parts):
            digest.update(f"{name.as_posix()} {sha256_file(path)}\n".encode())
    return digest.hexdigest()

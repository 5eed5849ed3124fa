"""Releases that fit together by their manifests, and that deployments must not leave in service."""

import shutil
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from homefeed.contracts import new_version, write_manifest
from homefeed.release.bundle import read_release_manifest


class _OneMore(nn.Module):
    """A tower whose vectors have one dimension more than those of the index."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`[B, K, D]` of the tower to `[B, K, D + 1]`."""
        return nn.functional.pad(self.tower(features), (0, 1))


def later(release: Path, copy: Path, seconds: int = 60) -> str:
    """A copy of a release that is a later one; returns its version."""
    shutil.copytree(release, copy)
    return sign_anew(copy, seconds)


def degraded(release: Path, copy: Path, seconds: int = 120) -> str:
    """A release that loads and is ready, and whose every search fails."""
    shutil.copytree(release, copy)
    path = copy / "user_tower.pt"
    tower = torch.jit.load(str(path))
    torch.jit.script(_OneMore(tower)).save(str(path))
    return sign_anew(copy, seconds)


def sign_anew(release: Path, seconds: int) -> str:
    """Makes a version of its own of what a folder holds now."""
    manifest = read_release_manifest(release)
    created_at = manifest.created_at + seconds
    named = msgspec.structs.replace(manifest, created_at=created_at)
    version = new_version(created_at, write_manifest(release, named).fingerprint)
    write_manifest(release, msgspec.structs.replace(named, version=version))
    return version

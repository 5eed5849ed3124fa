"""Releases of one embedding space in the folder of a pod, whose link leads to one after another."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from serving.release_folder import ReleaseFolder
from tests.serving.small_release import SmallRelease, build_small_release


def build_refreshes(folder: Path, number: int) -> list[SmallRelease]:
    return [build_small_release(folder / f"{each}", refresh=each) for each in range(number)]


def place(releases: Sequence[SmallRelease], pod: Path) -> ReleaseFolder:
    """Copies releases to where a pod has them; the link leads to the first."""
    folder = ReleaseFolder(pod / "current")
    for release in releases:
        shutil.copytree(release.folder, folder.of(release.version))
    folder.switch(releases[0].version)
    return folder

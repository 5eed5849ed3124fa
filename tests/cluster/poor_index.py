"""A refresh whose index misses much: of its lists only one is searched."""

import shutil
import time
from pathlib import Path

import msgspec
import numpy as np

from homefeed.contracts import new_version, read_manifest, write_manifest
from homefeed.index.layout import ANN, INDEX, VECTORS
from homefeed.index.train import train_ivf
from homefeed.index.tune_filters import FilterTuning
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from tests.cluster.demo import Demo
from tests.cluster.pods import STORE, Client
from tests.cluster.releases import CHANNEL, wait_for_version
from tests.cluster.service import Service

TOO_LITTLE = FilterTuning(
    num_filtered_probes=1,
    filtered_refine_factor=1,
    filtered_efforts={},
    scan_up_to=0,
    filtered_recall=0.0,
    num_unions=0,
    union_recall=0.0,
)
"""With which no build would end."""


def with_poor_index(release: Path, created_at: int, copy: Path) -> Release:
    """A copy of a release with an approximate index that finds little."""
    index = shutil.copytree(release, copy) / "index"
    num_lists = train_ivf(np.load(index / VECTORS), index / ANN)
    manifest = read_manifest(index, INDEX)
    found = {"kind": "ivf", "num_lists": num_lists, "num_probes": 1, "recall": 0.0}
    details = manifest.details | found | TOO_LITTLE._asdict()
    write_manifest(index, msgspec.structs.replace(manifest, details=details))
    of_release = Release.open(release).manifest
    version = new_version(created_at, of_release.fingerprint)
    write_manifest(
        copy, msgspec.structs.replace(of_release, version=version, created_at=created_at)
    )
    return Release.open(copy)


def publish_poor_index(service: Service, client: Client, demo: Demo, folder: Path) -> None:
    """Has the pods take such a refresh of the demo."""
    poor = with_poor_index(demo.release, int(time.time()), folder / "release")
    ReleaseStore(str(folder / "store")).publish(poor.folder, CHANNEL)
    for part in ("releases", "channels"):
        client.copy(folder / "store" / part, f"{STORE}/{part}")
    wait_for_version(service, client, demo, poor.version)

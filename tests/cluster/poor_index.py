"""A refresh whose index misses much: few of its lists are searched."""

import shutil
from pathlib import Path

import msgspec
import numpy as np

from homefeed.contracts import new_version, read_manifest, write_manifest
from homefeed.index.config import IndexConfig
from homefeed.index.layout import ANN, INDEX, VECTORS
from homefeed.index.postings import Postings
from homefeed.index.train import train_ivf
from homefeed.index.tune import tune
from homefeed.release.bundle import Release

ANY_RECALL = IndexConfig(kind="ivf", scan_up_to=0, min_recall=0.0, min_filtered_recall=0.0)


def with_poor_index(release: Path, created_at: int, copy: Path) -> Release:
    """A copy of a release with an approximate index that no recall was asked of."""
    index = shutil.copytree(release, copy) / "index"
    vectors = np.load(index / VECTORS)
    num_lists = train_ivf(vectors, index / ANN)
    postings = Postings.load(index, len(vectors))
    tuning = tune(index / ANN, num_lists, vectors, postings, ANY_RECALL)
    manifest = read_manifest(index, INDEX)
    details = manifest.details | {"kind": "ivf", "num_lists": num_lists, **tuning._asdict()}
    write_manifest(index, msgspec.structs.replace(manifest, details=details))
    of_release = Release.open(release).manifest
    version = new_version(created_at, of_release.fingerprint)
    write_manifest(
        copy, msgspec.structs.replace(of_release, version=version, created_at=created_at)
    )
    return Release.open(copy)

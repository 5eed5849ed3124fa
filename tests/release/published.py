"""A release store with a small release in production."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.release.build import build_release
from homefeed.release.store import ReleaseStore
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import (
    encoder,
    write_corpus,
    write_dataset,
    write_embeddings,
    write_exported,
)

FEATURES = encoder().config
"""Of the towers of the release."""


class Published(NamedTuple):
    """A store with a release in production, and what it was made of."""

    url: str
    version: str
    exported: Path
    release: Path


def bundle(folder: Path, exported: Path) -> Path:
    corpus = write_corpus(folder / "corpus", [["a"], ["b"]])
    embeddings = write_embeddings(folder / "embeddings", np.eye(2))
    build_index(corpus, [embeddings], IndexConfig(), folder / "index")
    dataset = write_dataset(folder / "dataset", [{"user_id": "u", "age": "18"}], [])
    write_user_snapshot(dataset, folder / "users")
    (folder / "models").mkdir()
    build_release(
        exported=exported,
        corpus=corpus,
        index=folder / "index",
        users=folder / "users",
        model_store=folder / "models",
        output=folder / "release",
    )
    return folder / "release"


def publish(folder: Path) -> Published:
    exported = write_exported(folder / "exported", 2)
    release = bundle(folder / "first", exported)
    url = str(folder / "store")
    return Published(url, ReleaseStore(url).publish(release, "production"), exported, release)

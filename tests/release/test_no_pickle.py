"""A bundle whose files are pickles: signed as they are, they are refused, and nothing is run."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from homefeed.contracts import read_manifest, write_manifest
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.index.layout import (
    INDEX,
    PIN_ID_BYTES,
    PIN_ID_OFFSETS,
    POSTING_OFFSETS,
    POSTINGS,
    PRIMARY_OFFSETS,
    SIGNATURES,
    VECTORS,
)
from homefeed.index.search import SearchEngine
from homefeed.release.user_tower import UserTower
from tests.index.artifacts import encoder, write_corpus, write_embeddings

ARRAYS = (
    VECTORS,
    PIN_ID_BYTES,
    PIN_ID_OFFSETS,
    SIGNATURES,
    PRIMARY_OFFSETS,
    POSTINGS,
    POSTING_OFFSETS,
)


class Trap:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.mkdir, (self._folder,)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """What the trap makes."""
    return tmp_path / "sprung"


def test_the_trap_works(sprung: Path) -> None:
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.is_dir()


def of_objects(trap: Trap) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([trap], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("make", [of_objects, pickle.dumps])
@pytest.mark.parametrize("name", ARRAYS)
def test_no_array_of_an_index_is_unpickled(
    tmp_path: Path, sprung: Path, name: str, make: Callable[[Trap], bytes]
) -> None:
    corpus = write_corpus(tmp_path / "corpus", [["a"], ["b", "a"], [], ["b"]])
    embeddings = write_embeddings(tmp_path / "embeddings", np.eye(4))
    index = tmp_path / "index"
    build_index(corpus, [embeddings], IndexConfig(), index)
    assert {path.name for path in index.glob("*.npy")} == set(ARRAYS)
    (index / name).write_bytes(make(Trap(sprung)))
    write_manifest(index, read_manifest(index, INDEX))
    with pytest.raises(ValueError, match="[Pp]ickle|Python objects"):
        SearchEngine.load(index)
    assert not sprung.exists()


def as_checkpoint(trap: Trap) -> bytes:
    file = io.BytesIO()
    torch.save({"tower": trap}, file)
    return file.getvalue()


@pytest.mark.parametrize("make", [as_checkpoint, pickle.dumps])
def test_the_tower_is_not_unpickled(
    tmp_path: Path, sprung: Path, make: Callable[[Trap], bytes]
) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "user_tower.pt").write_bytes(make(Trap(sprung)))
    encoder().save(folder / "features.json")
    with pytest.raises(RuntimeError):
        UserTower(folder)
    assert not sprung.exists()

"""Uploads that break off at a file of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from homefeed.release.store import ReleaseStore
from homefeed.store import ArtifactStore

WRITTEN = ("index/vectors.npy", "user_tower.pt", "manifest.json", "production.json")
"""What publishing a bare release writes, in order."""


class BrokenOffError(Exception):
    """Stands for a process that is killed, or a network that goes."""


@contextmanager
def breaking_off_at(store: ReleaseStore, name: str) -> Iterator[None]:
    """Publishing breaks off at a file, of which half is there if the store can hold that."""
    files = store._store._files
    put_file, write = files.put_file, ArtifactStore.write

    def put_half(source: str, remote: str, **options: Any) -> None:
        if remote.endswith(name):
            leave_half(Path(source).read_bytes(), remote)
        put_file(source, remote, **options)

    def write_half(self: ArtifactStore, path: str, contents: bytes) -> None:
        if path.endswith(name):
            leave_half(contents, f"{self._at(path)}.draft")
        write(self, path, contents)

    def leave_half(contents: bytes, remote: str) -> None:
        # An object store shows an object when all of it is there.
        if isinstance(files, LocalFileSystem):
            Path(remote).write_bytes(contents[: len(contents) // 2])
        raise BrokenOffError(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "put_file", put_half)
        patch.setattr(ArtifactStore, "write", write_half)
        with pytest.raises(BrokenOffError):
            yield


def check_that_it_is_none(
    store: ReleaseStore, version: str, others: list[str], scratch: Path
) -> None:
    """A release of which only a part is there can be read in no way."""
    assert store.versions() == others
    with pytest.raises(ValueError, match=f"holds no release '{version}'"):
        store.resolve(version)
    with pytest.raises(ValueError, match=f"holds no release '{version}'"):
        store.fetch(version, scratch / "fetched")
    with pytest.raises(ValueError, match=f"holds no release '{version}'"):
        store.fetch_files(version, ["user_tower.pt"], scratch / "some")
    assert not (scratch / "fetched").exists()
    assert not (scratch / "some").exists()

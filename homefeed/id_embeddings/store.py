"""Published ID embeddings: a folder at any fsspec URL, beside the releases.

id_embeddings/<version>/...    written once; the manifest, written last, says that it is whole
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from homefeed.contracts import MANIFEST_FILE, Manifest, new_version, read_manifest
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.tables import verify
from homefeed.id_embeddings.window_rule import PublishedTable
from homefeed.store import ArtifactStore, Removed, shown


class IdEmbeddingStore:
    """Publishes, lists and fetches ID embeddings."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = ArtifactStore(url)

    def publish(self, folder: Path) -> str:
        """Uploads ID embeddings, unless the store holds the same already.

        Args:
            folder: the artifact; verified first.

        Returns:
            The version.

        Raises:
            ValueError: the folder holds no whole ID embeddings.
        """
        manifest = verify(folder)
        version = version_of(manifest)
        path = f"{ID_EMBEDDINGS}/{version}"
        # A version names what it holds: there is nothing else that could be there.
        if not self._store.holds(path):
            self._store.upload(folder, manifest, path)
        return version

    def tables(self) -> list[PublishedTable]:
        """What is published, by the end of its window.

        Raises:
            ValueError: a manifest is of another schema.
        """
        return [self._read(version) for version in self._store.versions(ID_EMBEDDINGS)]

    def fetch(self, version: str, to: Path) -> Manifest:
        """Downloads and verifies ID embeddings.

        Args:
            version: which ones.
            to: folder that appears when it is whole.

        Raises:
            ValueError: there is no such version, or it is broken.
        """
        path = f"{ID_EMBEDDINGS}/{version}"
        if not self._store.holds(path):
            there = shown(self._store.versions(ID_EMBEDDINGS)[::-1]) or "none"
            raise ValueError(f"{self.url} holds no ID embeddings {version!r}; it holds {there}")
        return self._store.fetch(path, to, ID_EMBEDDINGS, verify)

    def prune(self, keep: int, dry_run: bool = False) -> Iterator[Removed]:
        """Removes all tables but those whose windows end last, and uploads that were broken off.

        No release needs them: towers hold the vectors that they were trained with.

        Args:
            keep: how many stay.
            dry_run: removes nothing.

        Returns:
            What is removed, or would be, oldest first; each as it is asked for.

        Raises:
            ValueError: `keep` is less than 1.
        """
        return self._store.prune(ID_EMBEDDINGS, keep, lambda version: False, dry_run)

    def _read(self, version: str) -> PublishedTable:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            self._store.download(f"{ID_EMBEDDINGS}/{version}", [MANIFEST_FILE], folder)
            return PublishedTable(version, read_manifest(folder, ID_EMBEDDINGS))


def version_of(manifest: Manifest) -> str:
    """The end of the window, UTC, so that versions sort by it; then a hash of the vectors."""
    assert manifest.window is not None
    return new_version(manifest.window.end, manifest.details["embedding_space"])


def fetch_ids(store: str, version: str, to: Path) -> Path | None:
    """Fetches the ID embeddings that a training was told to use.

    Args:
        store: URL of the store.
        version: which ones; empty for none.
        to: an empty folder, in which they get one of their own.

    Returns:
        That folder; None for none.
    """
    if not version:
        return None
    IdEmbeddingStore(store).fetch(version, to / version)
    return to / version

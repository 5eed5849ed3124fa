"""Published ID embeddings: a folder at any fsspec URL, beside the releases.

id_embeddings/<version>/...    written once; the manifest, written last, says that it is whole
"""

import tempfile
import uuid
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from tqdm import tqdm

from homefeed.contracts import MANIFEST_FILE, Manifest, iso, read_manifest
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.tables import verify
from homefeed.id_embeddings.window_rule import PublishedTable


class IdEmbeddingStore:
    """Publishes, lists and fetches ID embeddings."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._root = f"{root.rstrip('/')}/{ID_EMBEDDINGS}"

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
        remote = f"{self._root}/{version}"
        # A version names what it holds: there is nothing else that could be there.
        if self._files.exists(f"{remote}/{MANIFEST_FILE}"):
            return version
        self._files.makedirs(remote, exist_ok=True)
        for name in tqdm(manifest.files, desc=f"publishing {version}", unit="file"):
            self._files.put_file(str(folder / name), f"{remote}/{name}")
        self._write(f"{remote}/{MANIFEST_FILE}", (folder / MANIFEST_FILE).read_bytes())
        return version

    def tables(self) -> list[PublishedTable]:
        """What is published, by the end of its window.

        Raises:
            ValueError: a manifest is of another schema.
        """
        found = self._files.glob(f"{self._root}/*/{MANIFEST_FILE}")
        return sorted(map(self._read, found), key=lambda table: table.version)

    def fetch(self, version: str, to: Path) -> Manifest:
        """Downloads and verifies ID embeddings.

        Args:
            version: which ones.
            to: folder that appears when it is whole.

        Raises:
            ValueError: there is no such version, or it is broken.
        """
        remote = f"{self._root}/{version}"
        if not self._files.exists(f"{remote}/{MANIFEST_FILE}"):
            there = ", ".join(table.version for table in self.tables()) or "none"
            raise ValueError(f"{self.url} holds no ID embeddings {version!r}; it holds {there}")
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as scratch:
            draft = Path(scratch) / version
            draft.mkdir()
            names = self._files.ls(remote, detail=False)
            for path in tqdm(names, desc=f"fetching {version}", unit="file"):
                self._files.get_file(path, str(draft / path.rsplit("/", 1)[-1]))
            manifest = verify(draft)
            draft.rename(to)
        return manifest

    def _read(self, path: str) -> PublishedTable:
        with tempfile.TemporaryDirectory() as scratch:
            self._files.get_file(path, str(Path(scratch) / MANIFEST_FILE))
            manifest = read_manifest(Path(scratch), ID_EMBEDDINGS)
        return PublishedTable(path.rsplit("/", 2)[-2], manifest)

    def _write(self, path: str, contents: bytes) -> None:
        """Writes a small file so that readers see all of it or nothing."""
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe_file(path, contents)  # object stores put an object at once
            return
        draft = Path(f"{path}.{uuid.uuid4().hex}.draft")
        draft.write_bytes(contents)
        draft.replace(path)


def version_of(manifest: Manifest) -> str:
    """The end of the window, UTC, so that versions sort by it; then a hash of the vectors."""
    assert manifest.window is not None
    end = iso(manifest.window.end).replace("-", "").replace(":", "")
    return f"{end}-{manifest.details['embedding_space'][:8]}"

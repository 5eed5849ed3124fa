"""What stores of published artifacts have in common, at any fsspec URL.

An artifact's folder is written once and named by its version. The manifest, written last, says
that it is whole: without one it is none, and an interrupted upload is done again. It is also the
first to be removed, so that an artifact of which a file is gone is none.
"""

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from tqdm import tqdm

from homefeed.contracts import MANIFEST_FILE, VERSION, Manifest, read_manifest

NUM_SHOWN = 5

UPLOAD_SECONDS = 24 * 3600
"""What is not whole, and had no file written for so long, is no upload that still goes on."""

T = TypeVar("T")


class Removed(NamedTuple):
    """An artifact that was removed, or would be; one that was not whole is a broken-off upload."""

    version: str
    num_bytes: int
    was_whole: bool


class ArtifactStore:
    """Uploads and fetches artifacts; a `path` is below the URL, an artifact's ends in its version.

    What may not be read is an error, and never taken for what is not there.
    """

    def __init__(self, url: str) -> None:
        self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._root = root.rstrip("/")

    def upload(self, folder: Path, manifest: Manifest, path: str) -> None:
        """Uploads a verified artifact from a folder, its manifest last."""
        for name in tqdm(manifest.files, desc=f"publishing {_name(path)}", unit="file"):
            remote = self._at(f"{path}/{name}")
            self._make_folder_of(remote)
            self._files.put_file(str(folder / name), remote)
        self.write(f"{path}/{MANIFEST_FILE}", (folder / MANIFEST_FILE).read_bytes())

    def fetch(self, path: str, to: Path, kind: str, verify: Callable[[Path], T]) -> T:
        """Downloads and verifies an artifact.

        Args:
            path: of the artifact.
            to: folder that appears when it is whole.
            kind: of the artifact.
            verify: raises ValueError for a folder whose files are not those of its manifest.

        Returns:
            What `verify` made of the folder, which had another name then.

        Raises:
            ValueError: the artifact is broken.
            FileNotFoundError: a file of it is missing in the store.
        """
        version = _name(path)
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as scratch:
            draft = Path(scratch) / version
            self.download(path, [MANIFEST_FILE], draft)
            names = read_manifest(draft, kind).files
            self.download(path, tqdm(names, desc=f"fetching {version}", unit="file"), draft)
            verified = verify(draft)
            draft.rename(to)
        return verified

    def download(self, path: str, names: Iterable[str], to: Path) -> None:
        """Downloads some files of an artifact into a folder, as they are."""
        for name in names:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            self._files.get_file(self._at(f"{path}/{name}"), str(to / name))

    def holds(self, path: str) -> bool:
        """Whether there is a whole artifact."""
        # Not by exists(), nor names by glob(): to them what may not be read is not there.
        try:
            self._files.info(self._at(f"{path}/{MANIFEST_FILE}"))
        except FileNotFoundError:
            return False
        return True

    def versions(self, path: str) -> list[str]:
        """Versions of the whole artifacts in a folder, oldest first."""
        names = [name for name in self.names(path) if VERSION.fullmatch(name)]
        return [name for name in names if self.holds(f"{path}/{name}")]

    def names(self, path: str) -> list[str]:
        """Names of what is in a folder, sorted; none where there is no folder."""
        try:
            found = self._files.ls(self._at(path), detail=False)
        except FileNotFoundError:
            return []
        return sorted(_name(each.rstrip("/")) for each in found)

    def read(self, path: str) -> bytes:
        """The contents of a small file."""
        return self._files.cat_file(self._at(path))

    def write(self, path: str, contents: bytes) -> None:
        """Writes a small file so that readers see the old or the new one, never a part."""
        remote = self._at(path)
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe_file(remote, contents)  # object stores replace an object at once
            return
        self._make_folder_of(remote)
        draft = Path(f"{remote}.{uuid.uuid4().hex}.draft")
        with draft.open("wb") as file:
            file.write(contents)
            # Else a crash of the machine can leave the new name with nothing in it.
            file.flush()
            os.fsync(file.fileno())
        draft.replace(remote)

    def prune(
        self, path: str, keep: int, is_kept: Callable[[str], bool], dry_run: bool = False
    ) -> Iterator[Removed]:
        """Removes all artifacts of a folder but the last, and uploads that were broken off.

        Args:
            path: of the folder.
            keep: how many whole artifacts, the last by version, stay.
            is_kept: whether a version stays beside them; asked right before it is removed.
            dry_run: removes nothing.

        Yields:
            What was removed, or would be, oldest first.

        Raises:
            ValueError: nothing would be kept.
        """
        if keep < 1:
            raise ValueError(f"keep={keep} must be at least 1: the last one would go too")
        # What has another name is not ours.
        names = [name for name in self.names(path) if VERSION.fullmatch(name)]
        whole = {name for name in names if self.holds(f"{path}/{name}")}
        last = sorted(whole)[-keep:]
        for name in names:
            at = f"{path}/{name}"
            if name in last or is_kept(name) or (name not in whole and self._is_written(at)):
                continue
            num_bytes = int(self._files.du(self._at(at)))
            if not dry_run:
                self.remove(at)
            yield Removed(name, num_bytes, name in whole)

    def remove(self, path: str) -> None:
        """Removes an artifact, its manifest first; no harm where some or all of it is gone."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self._at(f"{path}/{MANIFEST_FILE}"))
        with suppress(FileNotFoundError):
            self._files.rm(self._at(path), recursive=True)

    def check(self) -> None:
        """Lists what is below the URL; raises the file system's own error where that fails.

        A folder that is not there yet is none: it comes with the first artifact.
        """
        try:
            self._files.ls(self._root, detail=False)
        except FileNotFoundError as error:
            # A bucket that is not there is a server's answer, in another error that caused this.
            if error.__cause__ is not None:
                raise

    def _is_written(self, path: str) -> bool:
        """Whether somebody may still be uploading what is not whole yet."""
        folder = self._at(path)
        try:
            latest = max(
                self._files.modified(each).timestamp()
                for each in self._files.find(folder) or [folder]
            )
        except FileNotFoundError:
            return True  # it changes as we look
        return latest > time.time() - UPLOAD_SECONDS

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _make_folder_of(self, remote: str) -> None:
        # An object store needs none, and would make a new bucket of one that was misspelt.
        if isinstance(self._files, LocalFileSystem):
            self._files.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)


def check_store(url: str, credentials: str) -> None:
    """Looks into a store before hours are spent on what is to go there; writes nothing.

    Args:
        url: of the store.
        credentials: where they come from, for the error.

    Raises:
        ValueError: it cannot be listed; says why and what to do.
    """
    try:
        ArtifactStore(url).check()
    # Each file system has errors of its own, without a base in common.
    except Exception as error:
        raise ValueError(
            f"the store {url} cannot be listed: {type(error).__name__}: {error}. Check its URL, "
            f"and that its credentials fit. They come from {credentials}. Then run the pipeline "
            "again"
        ) from error


def shown(names: Sequence[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - NUM_SHOWN} more" if len(names) > NUM_SHOWN else ""
    return ", ".join(names[:NUM_SHOWN]) + more


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

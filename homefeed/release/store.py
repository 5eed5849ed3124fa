"""The release store: a folder at any fsspec URL that holds releases and channels.

releases/<version>/...     written once; the manifest, written last, says that it is whole
channels/<name>.json       which version a name such as "production" stands for now
"""

import re
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem
from tqdm import tqdm

from homefeed.contracts import MANIFEST_FILE
from homefeed.release.bundle import (
    VERSION,
    Release,
    ReleaseManifest,
    read_release_manifest,
    verify_files,
)

CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""A channel's name; it cannot look like a version."""


class Channel(msgspec.Struct, frozen=True):
    """Contents of a channel's file."""

    version: str
    published_at: str


class ReleaseStore:
    """Publishes and fetches releases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._releases = f"{root.rstrip('/')}/releases"
        self._channels = f"{root.rstrip('/')}/channels"

    def publish(self, folder: Path, channel: str) -> str:
        """Uploads a release, unless the store holds it already, and points a channel to it.

        Args:
            folder: the release; verified first.
            channel: what to point to it.

        Returns:
            The version.

        Raises:
            ValueError: the folder is no whole release, the channel's name is no name, or the store
                holds another release of that version.
        """
        if not CHANNEL.fullmatch(channel):
            raise ValueError(
                f"channel {channel!r} is no name: small letters, digits and dashes, a letter first"
            )
        release = Release.open(folder)
        self._upload(release)
        entry = Channel(release.version, datetime.now(UTC).isoformat(timespec="seconds"))
        self._write(f"{self._channels}/{channel}.json", msgspec.json.encode(entry))
        return release.version

    def resolve(self, name: str) -> str:
        """The version that a channel stands for, or the version itself where it is published.

        Raises:
            ValueError: the store holds neither; names what it holds.
        """
        if VERSION.fullmatch(name):
            if not self._holds(name):
                raise ValueError(f"{self.url} holds no release {name!r}; {_said(self.versions())}")
            return name
        if name not in (there := self.channels()):
            raise ValueError(f"{self.url} holds no channel {name!r}; {_said(there)}")
        text = self._files.cat_file(f"{self._channels}/{name}.json")
        return msgspec.json.decode(text, type=Channel).version

    def fetch(self, name: str, to: Path) -> Release:
        """Downloads and verifies a release; a folder that holds it already is kept.

        Args:
            name: a version or channel.
            to: folder of the release; it appears when it is whole.

        Raises:
            ValueError: there is no such release, it is broken, or `to` holds something else.
        """
        version = self.resolve(name)
        if to.exists() and any(to.iterdir()):
            if (held := Release.open(to)).version != version:
                raise ValueError(f"{to} holds release {held.version}, not {version}")
            return held
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as scratch:
            draft = Path(scratch) / version
            draft.mkdir()
            remote = f"{self._releases}/{version}"
            self._files.get_file(f"{remote}/{MANIFEST_FILE}", str(draft / MANIFEST_FILE))
            names = read_release_manifest(draft).files
            for path in tqdm(names, desc=f"fetching {version}", unit="file"):
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(f"{remote}/{path}", str(draft / path))
            verified = Release.open(draft)
            draft.rename(to)
        return Release(to, verified.manifest)

    def fetch_files(self, name: str, files: Sequence[str], to: Path) -> ReleaseManifest:
        """Downloads and verifies some files of a release, and its manifest; the index may be large.

        Args:
            name: a version or channel.
            files: which files, by their names in the manifest.
            to: folder of the files.

        Raises:
            ValueError: there is no such release, or one of the files is missing or changed.
        """
        version = self.resolve(name)
        remote = f"{self._releases}/{version}"
        to.mkdir(parents=True, exist_ok=True)
        for path in (MANIFEST_FILE, *files):
            self._files.get_file(f"{remote}/{path}", str(to / path))
        manifest = read_release_manifest(to)
        verify_files(to, manifest, files)
        return manifest

    def versions(self) -> list[str]:
        """Published versions, oldest first."""
        names = self._names(self._releases)
        return [name for name in names if VERSION.fullmatch(name) and self._holds(name)]

    def channels(self) -> list[str]:
        """Names of the channels, sorted."""
        names = self._names(self._channels)
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def _holds(self, version: str) -> bool:
        # Not by exists(), nor names by glob(): to them what may not be read is not there.
        try:
            self._files.info(f"{self._releases}/{version}/{MANIFEST_FILE}")
        except FileNotFoundError:
            return False
        return True

    def _names(self, folder: str) -> list[str]:
        try:
            found = self._files.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def _upload(self, release: Release) -> None:
        remote = f"{self._releases}/{release.version}"
        manifest = (release.folder / MANIFEST_FILE).read_bytes()
        if self._holds(release.version):
            if self._files.cat_file(f"{remote}/{MANIFEST_FILE}") != manifest:
                raise ValueError(
                    f"{self.url} holds another release {release.version} than {release.folder}: "
                    "releases are never changed; build a new one"
                )
            return
        for name in tqdm(release.manifest.files, desc=f"publishing {release.version}", unit="file"):
            self._make_folder_of(f"{remote}/{name}")
            self._files.put_file(str(release.folder / name), f"{remote}/{name}")
        self._write(f"{remote}/{MANIFEST_FILE}", manifest)

    def _write(self, path: str, contents: bytes) -> None:
        """Writes a small file so that readers see the old or the new one, never a part."""
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe_file(path, contents)  # object stores replace an object at once
            return
        self._make_folder_of(path)
        draft = Path(f"{path}.{uuid.uuid4().hex}.draft")
        draft.write_bytes(contents)
        draft.replace(path)

    def _make_folder_of(self, path: str) -> None:
        # An object store needs none, and would make a new bucket of one that was misspelt.
        if isinstance(self._files, LocalFileSystem):
            self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)


def _said(names: list[str]) -> str:
    if not names:
        return "it holds none: check the URL, or publish a release there first"
    return f"it holds {', '.join(names)}"

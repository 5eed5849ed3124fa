"""The release store: a folder at any fsspec URL that holds releases and channels.

releases/<version>/...     written once; the manifest, written last, says that it is whole
channels/<name>.json       which version a name such as "production" stands for now
"""

import re
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem
from tqdm import tqdm

from homefeed.contracts import MANIFEST_FILE
from homefeed.release.bundle import VERSION, Release, read_release_manifest

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
        self._files.makedirs(self._channels, exist_ok=True)
        self._write(f"{self._channels}/{channel}.json", msgspec.json.encode(entry))
        return release.version

    def resolve(self, name: str) -> str:
        """The version that a channel stands for, or the version itself where it is published.

        Raises:
            ValueError: the store holds neither; names what it holds.
        """
        if VERSION.fullmatch(name):
            if name not in (there := self.versions()):
                raise ValueError(f"{self.url} holds no release {name!r}; {_said(there)}")
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

    def versions(self) -> list[str]:
        """Published versions, oldest first."""
        found = self._files.glob(f"{self._releases}/*/{MANIFEST_FILE}")
        return sorted(path.rsplit("/", 2)[-2] for path in found)

    def channels(self) -> list[str]:
        """Names of the channels, sorted."""
        found = self._files.glob(f"{self._channels}/*.json")
        return sorted(path.rsplit("/", 1)[-1].removesuffix(".json") for path in found)

    def _upload(self, release: Release) -> None:
        remote = f"{self._releases}/{release.version}"
        manifest = (release.folder / MANIFEST_FILE).read_bytes()
        if self._files.exists(f"{remote}/{MANIFEST_FILE}"):
            if self._files.cat_file(f"{remote}/{MANIFEST_FILE}") != manifest:
                raise ValueError(
                    f"{self.url} holds another release {release.version} than {release.folder}: "
                    "releases are never changed; build a new one"
                )
            return
        for name in tqdm(release.manifest.files, desc=f"publishing {release.version}", unit="file"):
            self._files.makedirs(f"{remote}/{name}".rsplit("/", 1)[0], exist_ok=True)
            self._files.put_file(str(release.folder / name), f"{remote}/{name}")
        self._write(f"{remote}/{MANIFEST_FILE}", manifest)

    def _write(self, path: str, contents: bytes) -> None:
        """Writes a small file so that readers see the old or the new one, never a part."""
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe_file(path, contents)  # object stores replace an object at once
            return
        draft = Path(f"{path}.{uuid.uuid4().hex}.draft")
        draft.write_bytes(contents)
        draft.replace(path)


def _said(names: list[str]) -> str:
    return f"it holds {', '.join(names)}" if names else "it holds none"

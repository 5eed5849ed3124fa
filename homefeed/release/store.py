"""The release store: a folder at any fsspec URL that holds releases and channels.

releases/<version>/...     written once; the manifest, written last, says that it is whole
channels/<name>.json       which version a name such as "production" stands for now
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from homefeed.contracts import MANIFEST_FILE, VERSION
from homefeed.release.bundle import (
    RELEASE,
    Release,
    ReleaseManifest,
    read_release_manifest,
    verify_files,
)
from homefeed.store import ArtifactStore, Removed, shown

CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""A channel's name; it cannot look like a version."""
RELEASES = "releases"
CHANNELS = "channels"


class Channel(msgspec.Struct, frozen=True):
    """Contents of a channel's file."""

    # It becomes part of paths.
    version: Annotated[str, Meta(pattern=rf"^{VERSION.pattern}\Z")]
    published_at: str


class ReleaseStore:
    """Publishes and fetches releases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = ArtifactStore(url)

    def publish(self, folder: Path, channel: str, replaces: str = "") -> str:
        """Uploads a release, unless the store holds it already, and points a channel to it.

        A release that was made from the one in the channel must not push out another that was
        published meanwhile. The channel is therefore looked at before the upload and once more
        before it is written. Object stores offer no compare-and-swap here, so this narrows the
        window in which the other release is pushed out; it does not close it.

        Args:
            folder: the release; verified first.
            channel: what to point to it.
            replaces: the version that the channel must stand for, unless it stands for this
                release already, as it does for one who tries again; empty replaces any.

        Returns:
            The version.

        Raises:
            ValueError: the folder is no whole release, the channel's name is no name, the channel
                stands for another release than `replaces`, or the store holds another release of
                that version.
        """
        _check_name(channel)
        release = Release.open(folder)
        self._check_channel(channel, replaces, release.version)
        self._upload(release)
        self._point(channel, release.version, replaces)
        return release.version

    def point(self, channel: str, name: str, replaces: str = "") -> str:
        """Points a channel to a release that the store holds, as back to an earlier one.

        Args:
            channel: what to point.
            name: the release's version, or another channel that stands for it.
            replaces: as for `publish`.

        Returns:
            The version.

        Raises:
            ValueError: the channel's name is no name, the store holds no such release, or the
                channel stands for another than `replaces`.
        """
        _check_name(channel)
        version = self.resolve(name)
        self._point(channel, version, replaces)
        return version

    def resolve(self, name: str) -> str:
        """The version that a channel stands for, or the version itself where it is published.

        Raises:
            ValueError: the store holds neither; names what it holds.
        """
        if VERSION.fullmatch(name):
            if not self._store.holds(f"{RELEASES}/{name}"):
                newest_first = self.versions()[::-1]
                raise ValueError(f"{self.url} holds no release {name!r}; {_said(newest_first)}")
            return name
        if name not in (there := self.channels()):
            raise ValueError(f"{self.url} holds no channel {name!r}; {_said(there)}")
        return self._read_channel(name)

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
        verified = self._store.fetch(f"{RELEASES}/{version}", to, RELEASE, Release.open)
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
        self._store.download(f"{RELEASES}/{version}", (MANIFEST_FILE, *files), to)
        manifest = read_release_manifest(to)
        verify_files(to, manifest, files)
        return manifest

    def versions(self) -> list[str]:
        """Published versions, oldest first."""
        return self._store.versions(RELEASES)

    def channels(self) -> list[str]:
        """Names of the channels, sorted."""
        names = self._store.names(CHANNELS)
        return [name.removesuffix(".json") for name in names if name.endswith(".json")]

    def prune(
        self, keep: int, also: Sequence[str] = (), dry_run: bool = False
    ) -> Iterator[Removed]:
        """Removes old releases, and uploads that were broken off a day ago or longer.

        What a channel stands for stays, however old. Pods that name a version themselves are not
        known here: say it in `also`.

        Args:
            keep: how many of the last releases stay.
            also: versions or channels whose releases stay too.
            dry_run: removes nothing.

        Returns:
            What is removed, or would be, oldest first; each as it is asked for.

        Raises:
            ValueError: `keep` is less than 1, there is no release of a name in `also`, or a channel
                cannot be read.
        """
        # A channel that cannot be read is found before anything is removed.
        named = {self.resolve(name) for name in (*also, *self.channels())}

        def is_kept(version: str) -> bool:
            # Looked up anew for each: somebody may be pointing a channel back to an old release.
            return version in named or version in map(self._read_channel, self.channels())

        return self._store.prune(RELEASES, keep, is_kept, dry_run)

    def _read_channel(self, name: str) -> str:
        path = f"{CHANNELS}/{name}.json"
        try:
            return msgspec.json.decode(self._store.read(path), type=Channel).version
        except msgspec.MsgspecError as error:
            raise ValueError(
                f"{self.url}/{path} is no channel's file: {error}; publish a release to channel "
                f"{name!r} again"
            ) from error

    def _point(self, channel: str, version: str, replaces: str) -> None:
        self._check_channel(channel, replaces, version)
        entry = Channel(version, datetime.now(UTC).isoformat(timespec="seconds"))
        self._store.write(f"{CHANNELS}/{channel}.json", msgspec.json.encode(entry))
        if not self._store.holds(f"{RELEASES}/{version}"):
            raise ValueError(
                f"release {version} was pruned from {self.url} while channel {channel!r} was "
                "pointed to it: publish it again"
            )

    def _check_channel(self, channel: str, replaces: str, version: str) -> None:
        if replaces and (found := self.resolve(channel)) not in (replaces, version):
            raise ValueError(
                f"channel {channel!r} of {self.url} stands for release {found} by now; release "
                f"{version} was made to replace {replaces}, so {found} would be lost to it: run "
                f"its pipeline again, which then starts from {found}"
            )

    def _upload(self, release: Release) -> None:
        path = f"{RELEASES}/{release.version}"
        if not self._store.holds(path):
            self._store.upload(release.folder, release.manifest, path)
            return
        manifest = (release.folder / MANIFEST_FILE).read_bytes()
        if self._store.read(f"{path}/{MANIFEST_FILE}") != manifest:
            raise ValueError(
                f"{self.url} holds another release {release.version} than {release.folder}: "
                "releases are never changed; build a new one"
            )


def _check_name(channel: str) -> None:
    if not CHANNEL.fullmatch(channel):
        raise ValueError(
            f"channel {channel!r} is no name: small letters, digits and dashes, a letter first"
        )


def _said(names: Sequence[str]) -> str:
    if not names:
        return "it holds none: check the URL, or publish a release there first"
    return f"it holds {shown(names)}"

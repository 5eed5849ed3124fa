"""The indexes that the sidecar answers with: replaced as a whole, never changed."""

from collections.abc import Mapping
from typing import NamedTuple

from homefeed.index.search import SearchEngine
from homefeed.release.bundle import Release, ReleaseManifest


class ServedIndex(NamedTuple):
    """What one version answers with."""

    manifest: ReleaseManifest
    engine: SearchEngine

    @property
    def version(self) -> str:
        """Of the release."""
        return self.manifest.version

    @classmethod
    def load(cls, release: Release) -> "ServedIndex":
        """Maps the index of a release and searches it, so that no early request pays for it.

        Raises:
            ValueError: it is no finished index of this version.
        """
        engine = SearchEngine.load(release.index)
        engine.warm_up()
        return cls(release.manifest, engine)


class HeldIndexes(NamedTuple):
    """The index that is current, and by version all that callers may still ask for."""

    current: ServedIndex
    by_version: Mapping[str, ServedIndex]

"""The release that a worker answers from, and its exchange for a refresh of it."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from homefeed.index.pin_ids import PinIds
from homefeed.release.bundle import Popular, Release, read_release_manifest
from homefeed.release.refresh import check_refresh
from serving.release_folder import ReleaseFolder
from serving.torchserve.hydrate import Hydrator

RETRY_SECONDS = 1.0
"""Between two tries to open a release that the sidecar serves and this worker cannot."""

logger = logging.getLogger(__name__)


class ServedRelease:
    """What changes with a refresh: its users, interests and popular pins; the tower stays.

    The release's files are not hashed again here: whoever fetched it did, and the sidecar does;
    each new worker would read the whole index for it.
    """

    def __init__(self, release: Release, make_hydrator: Callable[[Release], Hydrator]) -> None:
        self.manifest = release.manifest
        self.popular: Popular = release.popular()
        self.pin_ids = PinIds.load(release.index)
        """Of the rows of its index."""
        # Last: its stores must be closed, which nobody would do where what comes after it fails.
        self.hydrator = make_hydrator(release)

    @property
    def version(self) -> str:
        """Of the release."""
        return self.manifest.version


class ReleaseExchange:
    """Holds the release that answers; for one thread, beside which another opens the next one."""

    def __init__(
        self, link: Path, release: Release, make_hydrator: Callable[[Release], Hydrator]
    ) -> None:
        """Opens the first release.

        Args:
            link: leads to the folder of the current release; those of others lie beside it.
            release: what it leads to.
            make_hydrator: of a release with the same towers.
        """
        self._folder = ReleaseFolder(link)
        self._make_hydrator = make_hydrator
        self.current = ServedRelease(release, make_hydrator)
        self._next: ServedRelease | None = None
        self._opening: threading.Thread | None = None
        self._refused = ""
        self._try_again_at = 0.0

    def prepare(self, version: str) -> None:
        """Has a version opened beside the requests, unless that goes on or failed a moment ago."""
        if version == self.current.version or self._opening is not None:
            return
        if time.monotonic() < self._try_again_at:
            return

        def open_next() -> None:
            self._next = self._open(version)

        self._opening = threading.Thread(target=open_next, name="open release", daemon=True)
        self._opening.start()

    def take_prepared(self) -> None:
        """Goes over to the version that was prepared, once it is there; between two batches."""
        if self._opening is not None and not self._opening.is_alive():
            self._opening = None
            self._take(self._next)
            self._next = None

    def switch(self, version: str) -> bool:
        """Goes over to a version now; says whether it answers from now on."""
        if self._opening is not None:
            self._opening.join()
            self.take_prepared()
        if version != self.current.version:
            self._take(self._open(version))
        return version == self.current.version

    def close(self) -> None:
        """Closes the release's files."""
        if self._opening is not None:
            self._opening.join()
            self.take_prepared()
        self.current.hydrator.close()

    def _take(self, release: ServedRelease | None) -> None:
        if release is None:
            return
        before, self.current = self.current, release
        before.hydrator.close()

    def _open(self, version: str) -> ServedRelease | None:
        try:
            folder = self._folder.of(version)
            release = Release(folder, read_release_manifest(folder))
            check_refresh(self.current.manifest, release.manifest)
            return ServedRelease(release, self._make_hydrator)
        except Exception as error:  # whatever is wrong with it, the old one answers
            self._try_again_at = time.monotonic() + RETRY_SECONDS
            if version != self._refused:  # once, not for every try
                logger.warning("release %s is not served: %s", version, error)
                self._refused = version
            return None

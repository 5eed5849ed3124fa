"""Loads the release that `--release` leads to, and every later one that it is pointed to.

One thread loads and drops, all others take `held` once for a request and keep to it. So a swap is
one assignment: no request waits for it, and none is answered by two indexes.
"""

import gc
import logging
import threading
import time
from pathlib import Path

from homefeed.release.bundle import Release, read_release_manifest
from homefeed.release.refresh import Reason, check_index, check_refresh, reason_of
from serving.index_sidecar.held import HeldIndexes, ServedIndex
from serving.index_sidecar.metrics import Metrics

LOOK_SECONDS = 0.2
"""Between two looks at the link; each costs one system call."""
GRACE_SECONDS = 30.0
"""An index that is not current is dropped when nobody has asked for it for so long."""
MAX_HELD = 3
"""Handlers open a new release in seconds, so more are not asked for; each has its memory."""

logger = logging.getLogger(__name__)


class Loader:
    """Holds the indexes of one sidecar."""

    def __init__(self, link: Path, metrics: Metrics) -> None:
        """Loads what is there now.

        Args:
            link: folder of the release, or a link to it that is followed.
            metrics: say which index is current, and which was refused.

        Raises:
            ValueError: the release is broken.
        """
        self._link = link
        self._metrics = metrics
        self._folder = link.resolve()
        release = Release.open(self._folder)
        check_index(release)
        self._asked_at: dict[str, float] = {}
        self._publish(ServedIndex.load(release), {})

    def take(self, version: str) -> ServedIndex | None:
        """The index of a version, "" for the current one; None where it is not held."""
        held = self.held
        served = held.by_version.get(version) if version else held.current
        if served is not None:
            self._asked_at[served.version] = time.monotonic()
        return served

    def follow(self, stop: threading.Event) -> None:
        """Looks at the link until `stop` is set."""
        while not stop.wait(LOOK_SECONDS):
            self._look()
            self._drop()

    def _look(self) -> None:
        folder = self._link.resolve()
        if folder == self._folder:
            return
        self._folder = folder
        started = time.perf_counter()
        try:
            served = self._load(folder)
        except Exception as error:  # whatever is wrong with it, the old one answers
            reason = reason_of(error, Reason.CORRUPT)
            self._metrics.refused_releases.labels(reason.value).inc()
            facts = {"folder": str(folder), "reason": reason, "message": str(error)}
            logger.error("release refused", extra={"facts": facts})
            return
        self._publish(served, dict(self.held.by_version))
        facts = {
            "version": served.version,
            "num_pins": served.engine.details.num_pins,
            "seconds": round(time.perf_counter() - started, 3),
        }
        logger.info("swapped", extra={"facts": facts})

    def _load(self, folder: Path) -> ServedIndex:
        manifest = read_release_manifest(folder)
        check_refresh(self.held.current.manifest, manifest)
        if (held := self.held.by_version.get(manifest.version)) is not None:
            return held
        release = Release.open(folder)
        check_index(release)
        return ServedIndex.load(release)

    def _publish(self, served: ServedIndex, others: dict[str, ServedIndex]) -> None:
        others.pop(served.version, None)
        # The last ones come last, so that the oldest goes first.
        kept = dict(list(others.items())[-(MAX_HELD - 1) :])
        self._asked_at[served.version] = time.monotonic()
        self.held = HeldIndexes(served, {**kept, served.version: served})
        details = served.engine.details
        self._metrics.set_index(
            served.version, served.manifest.created_at, details.embedding_space, details.num_pins
        )

    def _drop(self) -> None:
        """Lets go of what nobody asks for any more, here rather than in a search."""
        current, by_version = self.held
        self._asked_at[current.version] = now = time.monotonic()
        asked_since = now - GRACE_SECONDS
        kept = {
            version: served
            for version, served in by_version.items()
            if self._asked_at[version] >= asked_since
        }
        if len(kept) < len(by_version):
            self.held = HeldIndexes(current, kept)
            del by_version
            # Its cache of filters refers to itself, and would keep its files mapped for hours.
            gc.collect()

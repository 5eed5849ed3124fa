"""Fetches a release and verifies every file of it, before the servers of its pod start.

    python -m serving.fetch_release --store s3://bucket/prefix --version production --to FOLDER

    --version NAME               a version, or a channel, which is read now
    --to FOLDER                  appears when the release in it is whole; another release there, or
                                 what an earlier try left, is replaced
    --timeout-seconds 600        ends a fetch that takes longer
    --termination-log PATH       takes the reason of a failure, for `kubectl describe pod`

Exits with 1 when there is no whole release. The reason, which names the file, is in the log.
"""

import argparse
import contextlib
import logging
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from homefeed.contracts import MANIFEST_FILE
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from serving.index_sidecar.logs import set_up_logs

TIMEOUT_SECONDS = 600
TERMINATION_LOG = Path("/dev/termination-log")
MAX_REASON_BYTES = 4096
"""Kubernetes drops the rest of a termination message."""

logger = logging.getLogger("serving.fetch_release")


def main() -> int:
    """Parses the command line and fetches; returns the exit code."""
    parser = argparse.ArgumentParser(
        "python -m serving.fetch_release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--timeout-seconds", type=int, default=TIMEOUT_SECONDS)
    parser.add_argument("--termination-log", type=Path, default=TERMINATION_LOG)
    given = parser.parse_args()
    set_up_logs()
    try:
        with _time_limit(given.timeout_seconds):
            release = fetch(given.store, given.version, given.to)
    except Exception as error:  # clients of object stores raise what they like
        reason = (
            f"release {given.version!r} cannot be fetched from {given.store}: "
            f"{type(error).__name__}: {error}"
        )
        logger.error("cannot fetch", extra={"facts": {"reason": reason}})
        if given.termination_log.exists():
            given.termination_log.write_bytes(reason.encode()[:MAX_REASON_BYTES])
        return 1
    facts = {"version": release.version, "folder": str(given.to)}
    logger.info("fetched", extra={"facts": facts})
    return 0


def fetch(url: str, name: str, to: Path) -> Release:
    """Fetches a release for a pod, whose folder may hold what an earlier start of it left.

    Args:
        url: the release store.
        name: a version or channel.
        to: folder of the release.

    Raises:
        ValueError: there is no such release, it is broken, or `to` holds something that is none.
        OSError: the store or the folder cannot be used.
    """
    store = ReleaseStore(url)
    version = store.resolve(name)
    for draft in to.parent.glob(f".{to.name}-*"):
        shutil.rmtree(draft)  # of a fetch that was killed; it would fill the volume
    if (to / MANIFEST_FILE).exists() and not _holds(to, version):
        shutil.rmtree(to)
    return store.fetch(version, to)


def _holds(folder: Path, version: str) -> bool:
    try:
        return Release.open(folder).version == version
    except ValueError:
        return False


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {seconds} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


if __name__ == "__main__":
    sys.exit(main())

"""Fetches a release and verifies every file of it, before the servers of its pod start.

    python -m serving.fetch_release --store s3://bucket/prefix --version production --to LINK

    --version NAME               a version, or a channel, which is read now
    --to LINK                    to the folder of the release, LINK-VERSION beside it; it appears
                                 when that is whole. Another release there, or what an earlier try
                                 left, is replaced
    --timeout-seconds 600        ends a fetch that takes longer
    --termination-log PATH       takes the reason of a failure, for `kubectl describe pod`
    --api-access FOLDER          of a token for Kubernetes' API: what came of it becomes an event on
                                 the pod that POD_NAME, POD_NAMESPACE and POD_UID name

Exits with 1 when there is no whole release. The reason, which names the file, is in the log.
"""

import argparse
import logging
import shutil
import sys
from pathlib import Path

from homefeed.contracts import read_manifest
from homefeed.release.bundle import RELEASE, Release
from homefeed.release.store import ReleaseStore
from homefeed.time_limit import ANSWER_SECONDS, time_limit
from serving.index_sidecar.logs import set_up_logs
from serving.pod_events import leave_event
from serving.release_folder import ReleaseFolder

TIMEOUT_SECONDS = 600
TERMINATION_LOG = Path("/dev/termination-log")
MAX_REASON_BYTES = 4096
"""Kubernetes drops the rest of a termination message."""
STORE_HELP = (
    "In the chart's values, release.store and release.env say where the store is, and "
    "release.credentialsSecret who reads it"
)

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
    parser.add_argument("--api-access", type=Path)
    given = parser.parse_args()
    set_up_logs()
    try:
        release = fetch(given.store, given.version, given.to, given.timeout_seconds)
    except Exception as error:  # clients of object stores raise what they like
        reason = (
            f"release {given.version!r} cannot be fetched from {given.store}: "
            f"{type(error).__name__}: {error}"
        )
        if not isinstance(error, ValueError):  # which says itself what to do
            reason += f". {STORE_HELP}"
        logger.error("cannot fetch", extra={"facts": {"reason": reason}})
        if given.termination_log.exists():
            given.termination_log.write_bytes(reason.encode()[:MAX_REASON_BYTES])
        if given.api_access:
            leave_event(given.api_access, "Warning", "ReleaseNotFetched", reason)
        return 1
    facts = {"version": release.version, "folder": str(given.to)}
    logger.info("fetched", extra={"facts": facts})
    if given.api_access:
        message = f"release {release.version} ({given.version!r} of {given.store})"
        leave_event(given.api_access, "Normal", "ReleaseFetched", message)
    return 0


def fetch(url: str, name: str, to: Path, timeout_seconds: int = TIMEOUT_SECONDS) -> Release:
    """Fetches a release for a pod, whose folder may hold what an earlier start of it left.

    Args:
        url: the release store.
        name: a version or channel.
        to: link to the folder of the release.
        timeout_seconds: what the download may take; to begin it, `ANSWER_SECONDS` at most.

    Raises:
        ValueError: there is no such release, it is broken, or `to` holds something that is none.
        OSError: the store or the folder cannot be used.
        RuntimeError: the time is over.
    """
    answer_seconds = min(ANSWER_SECONDS, timeout_seconds)
    with time_limit(answer_seconds, f"no answer within {answer_seconds} seconds"):
        store = ReleaseStore(url)
        version = store.resolve(name)
    with time_limit(timeout_seconds, f"not done within {timeout_seconds} seconds"):
        return _fetch(store, version, to)


def _fetch(store: ReleaseStore, version: str, to: Path) -> Release:
    folder = ReleaseFolder(to)
    folder.clear_drafts()
    if to.is_dir() and not to.is_symlink():
        if any(to.iterdir()):
            read_manifest(to, RELEASE)  # what is no release is not ours to remove
        shutil.rmtree(to)
    try:
        release = download(store, version, folder)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(
            f"{error}; where that does not help, the store's copy is damaged: name another release"
        ) from error
    folder.switch(version)
    folder.keep((version,))
    return release


def download(store: ReleaseStore, version: str, to: ReleaseFolder) -> Release:
    """Downloads and verifies a version, unless it is there already, whole; links nothing to it.

    Raises:
        ValueError: it is broken.
        OSError: the store or the folder cannot be used.
    """
    folder = to.of(version)
    if folder.exists() and not _holds(folder, version):
        shutil.rmtree(folder)
    return store.fetch(version, folder)


def _holds(folder: Path, version: str) -> bool:
    try:
        return Release.open(folder).version == version
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())

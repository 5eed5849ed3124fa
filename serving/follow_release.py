"""Follows a channel: fetches what it comes to stand for, and switches running servers to it.

    python -m serving.follow_release --store s3://bucket/prefix --channel production --to LINK

    --to LINK                    that serving.fetch_release made; pointed to a release when that is
                                 whole, verified, and of the towers that are served
    --seconds 60                 between two looks at the channel, give or take a half, so that the
                                 pods of a service do not come all at once
    --timeout-seconds 600        ends a fetch that takes longer

Whatever goes wrong, the release that is served stays, and the next look tries again. The log says
it once, and the sidecar exports it. No decision is made by the clock of the machine.
"""

import argparse
import logging
import random
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

from msgspec.structs import replace

from homefeed.release.bundle import ReleaseManifest, read_release_manifest
from homefeed.release.refresh import Reason, check_index, check_refresh, reason_of
from homefeed.release.store import CHANNEL, ReleaseStore
from homefeed.time_limit import ANSWER_SECONDS, time_limit
from serving.fetch_release import TIMEOUT_SECONDS, download
from serving.follow_status import FollowStatus, write_status
from serving.index_sidecar.logs import set_up_logs
from serving.release_folder import ReleaseFolder

FOLLOW_SECONDS = 60.0

logger = logging.getLogger("serving.follow_release")


def main() -> NoReturn:
    """Parses the command line and follows until SIGTERM."""
    parser = argparse.ArgumentParser(
        "python -m serving.follow_release",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=FOLLOW_SECONDS)
    parser.add_argument("--timeout-seconds", type=int, default=TIMEOUT_SECONDS)
    given = parser.parse_args()
    if not CHANNEL.fullmatch(given.channel):
        parser.error(f"--channel {given.channel} is none: a version stays what it is")
    if given.seconds <= 0:
        parser.error(f"--seconds {given.seconds:g} must be positive")
    set_up_logs()
    signal.signal(signal.SIGTERM, _exit)  # the first process of a container has no default for it
    follower = Follower(given.store, given.channel, given.to, given.timeout_seconds)
    while True:
        follower.look()
        time.sleep(given.seconds * random.uniform(0.5, 1.5))


class Follower:
    """Keeps a link at the release that a channel stands for; for the main thread."""

    def __init__(self, url: str, channel: str, link: Path, timeout_seconds: int) -> None:
        self._url = url
        self._channel = channel
        self._folder = ReleaseFolder(link)
        self._timeout_seconds = timeout_seconds
        self._status = FollowStatus()
        self._kept: tuple[str, ...] = ()
        self._can_write_status = True
        self._folder.clear_drafts()

    def look(self) -> None:
        """Looks once at the channel; nothing that goes wrong leaves this."""
        if self._kept:
            # Not when they were switched: a server may just have begun to open the last but one.
            self._folder.keep(self._kept)
        version = ""
        try:
            version = self._resolve()
        except Exception as error:  # clients of object stores raise what they like
            self._refuse(version, Reason.STORE, error)
        else:
            self._status = replace(self._status, channel_version=version, looked_at=time.time())
            try:
                self._take(version)
            except Exception as error:
                self._refuse(version, reason_of(error, Reason.STORE), error)
        self._write_status()

    def _resolve(self) -> str:
        answer_seconds = min(ANSWER_SECONDS, self._timeout_seconds)
        with time_limit(answer_seconds, f"no answer within {answer_seconds} seconds"):
            self._store = ReleaseStore(self._url)
            return self._store.resolve(self._store.resolve(self._channel))

    def _take(self, version: str) -> None:
        """Serves a version, unless it is served already."""
        served = read_release_manifest(self._folder.link)
        if version != served.version:
            try:
                with time_limit(
                    self._timeout_seconds, f"not done within {self._timeout_seconds} seconds"
                ):
                    self._fetch_refresh(served, version)
            except BaseException:
                self._folder.clear_drafts()
                raise
            self._folder.switch(version)
            self._kept = (served.version, version)
            facts = {"version": version, "instead_of": served.version}
            logger.info("switched", extra={"facts": facts})
        elif self._status.reason is not None:
            logger.info("nothing is refused any more", extra={"facts": {"version": version}})
        self._status = replace(self._status, refused_version="", reason=None)

    def _fetch_refresh(self, served: ReleaseManifest, version: str) -> None:
        """Fetches a version; what its manifest alone tells is looked at before the rest."""
        with TemporaryDirectory() as scratch:
            check_refresh(served, self._store.fetch_files(version, (), Path(scratch)))
        release = download(self._store, version, self._folder)
        try:
            check_index(release)
        except ValueError:
            self._folder.keep((*self._kept, served.version))
            raise

    def _refuse(self, version: str, reason: Reason, error: Exception) -> None:
        before, failures = self._status, self._status.failures
        self._status = replace(
            before,
            refused_version=version,
            reason=reason,
            failures=failures | {reason: failures.get(reason, 0) + 1},
        )
        if (before.refused_version, before.reason) != (version, reason):  # not at every look
            facts = {
                "version": version,
                "reason": reason,
                "message": f"{type(error).__name__}: {error}",
            }
            logger.error("refused", extra={"facts": facts})

    def _write_status(self) -> None:
        try:
            write_status(self._folder.link, self._status)
        except OSError as error:  # the volume may be full; that must not end this process
            if self._can_write_status:
                facts = {"message": str(error)}
                logger.error("cannot write the status", extra={"facts": facts})
            self._can_write_status = False
        else:
            self._can_write_status = True


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Turns the signal into an exception, so that a fetch leaves nothing behind."""
    sys.exit(0)


if __name__ == "__main__":
    main()

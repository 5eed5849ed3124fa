"""The follower of a channel as a process of its own, beside the folder of a pod."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from serving.follow_status import FollowStatus, read_status
from serving.release_folder import ReleaseFolder
from tests.serving.observing import wait_until

NOTHING: Mapping[str, str] = MappingProxyType({})
# Time goes to and fro by years for whoever asks the clock of the machine.
WILD_CLOCK = """
import itertools, runpy, sys, time
true_time, sign = time.time, itertools.cycle((1, -1))
time.time = lambda: true_time() + next(sign) * 10 * 365 * 86400
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Follower:
    """A running follower and what it says."""

    def __init__(self, process: subprocess.Popen, folder: ReleaseFolder, log: Path) -> None:
        self.process = process
        self._folder = folder
        self._log = log

    @property
    def status(self) -> FollowStatus:
        return read_status(self._folder.link) or FollowStatus()

    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, version: str) -> None:
        wait_until(
            lambda: self._folder.link.resolve() == self._folder.of(version).resolve(),
            f"{version} is linked to",
        )

    def wait_for_looks(self, number: int = 2) -> None:
        """Waits for looks that begin after this."""
        for _ in range(number):
            before = self.status.looked_at, self.status.failures
            wait_until(
                lambda before=before: (self.status.looked_at, self.status.failures) != before,
                "another look",
            )


@contextmanager
def following(
    folder: ReleaseFolder,
    store: str,
    *options: str,
    variables: Mapping[str, str] = NOTHING,
    wild_clock: bool = False,
) -> Iterator[Follower]:
    command = [sys.executable, *(("-c", WILD_CLOCK) if wild_clock else ("-m",))]
    command += ["serving.follow_release", "--store", store, "--channel", "production"]
    command += ["--to", str(folder.link), "--seconds", "0.1", *options]
    log = folder.link.parent.with_name("follower.log")
    with log.open("w") as output:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=output)
    try:
        yield Follower(process, folder, log)
    finally:
        process.kill()
        process.wait()

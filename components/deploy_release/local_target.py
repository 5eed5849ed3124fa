"""The processes of `homefeed serve` as a target: what a cluster does with pods, with one of each.

The folder that is served from holds

    release-VERSION   the release that is served, and the one before it
    serving.json      where it is served, while it is
    deploy.lock       names the deployment at work
    logs/             of the servers
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from homefeed.deployment.config import LocalConfig
from homefeed.deployment.layout import Pod, Status
from homefeed.deployment.target import CheckLock
from homefeed.release.bundle import read_release_manifest
from homefeed.release.store import ReleaseStore
from serving.fetch_release import download
from serving.local import ServingState, read_state
from serving.local.state import claimed
from serving.release_folder import ReleaseFolder

RELEASE = "release"
LOCK_FILE = "deploy.lock"
LOG_FILE = "logs/serve.log"
SERVE = "from homefeed.cli import main; main()"
"""`homefeed`, wherever it is installed."""
POLL_SECONDS = 0.1
STOP_SECONDS = 60.0
TAIL_LINES = 30


class LocalTarget:
    """A work folder of `homefeed serve`."""

    def __init__(self, config: LocalConfig, store: str) -> None:
        """Takes folder and port, and the store that releases are fetched from."""
        self._config = config
        self._work = Path(config.folder).absolute()
        self._store = ReleaseStore(store)
        self._releases = ReleaseFolder(self._work / RELEASE)
        self._before = ""

    @property
    def title(self) -> str:
        """What people call it."""
        return f"`homefeed serve` of {self._work}"

    @contextmanager
    def locked(self) -> Iterator[CheckLock]:
        """Holds a lock on the folder, which Linux takes back from a process that dies."""
        self._work.mkdir(parents=True, exist_ok=True)
        with (self._work / LOCK_FILE).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ValueError(
                    f"another deployment is at work in {self._work}, by {file.read().strip()}: "
                    "wait for its end"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()}\n")
            file.flush()
            yield lambda: None

    def mend(self) -> str:
        """Nothing: a process that is gone is none that is served."""
        return ""

    def before(self) -> str:
        """The version that is served."""
        state = self._state()
        return "" if state is None else state.version

    def plan(self, version: str) -> str:
        """One version for the other."""
        if (before := self.before()) == version:
            return ""
        removed = [f"-serves release {before}"] if before else []
        return "\n".join([*removed, f"+serves release {version}"])

    def upgrade(self, version: str) -> None:
        """Fetches the release, whole, before it ends what is served, and starts it in its place."""
        self._before = self.before()
        try:
            self._releases.clear_drafts()
            download(self._store, version, self._releases)
        except (ValueError, OSError) as error:
            raise RuntimeError(f"release {version} cannot be fetched: {error}") from error
        try:
            self._serve(version)
        except RuntimeError as error:
            try:
                self.roll_back()
            except RuntimeError as worse:
                raise RuntimeError(f"{error}; the way back failed too: {worse}") from error
            raise
        self._releases.keep({version, self._before})

    def urls(self, version: str) -> Mapping[str, str]:
        """The one that is served, if it is of that version."""
        state = self._state()
        return {"homefeed serve": state.url} if state and state.version == version else {}

    def roll_back(self) -> None:
        """Serves the release of before again, which is still there."""
        if self._before:
            self._serve(self._before)
        else:
            self._stop()

    def status(self) -> Status:
        """The processes."""
        state = self._state()
        if state is None:
            return Status(summary=f"nothing is served from {self._work}")
        pods = [
            Pod(name=f"{name}, process {pid}", version=state.version, is_ready=True)
            for name, pid in state.pids.items()
        ]
        return Status(summary=f"release {state.version} at {state.url}", pods=tuple(pods))

    def _state(self) -> ServingState | None:
        return read_state(self._work)

    def _serve(self, version: str) -> None:
        """Ends what is served and serves a version that is here.

        Raises:
            RuntimeError: it does not answer; shows the end of the log.
        """
        self._stop()
        folder = self._releases.of(version)
        read_release_manifest(folder)
        arguments = ["serve", str(folder), "--work", str(self._work)]
        # A pipeline on this machine has a temporary folder that goes with it.
        environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
        log = self._work / LOG_FILE
        log.parent.mkdir(exist_ok=True)
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", SERVE, *arguments, "--port", str(self._config.port)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # It outlives this process, and the group that a pipeline's run is ended by.
                start_new_session=True,
            )
        deadline = time.monotonic() + self._config.timeout_seconds
        while self._state() is None:
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                process.wait()
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
                raise RuntimeError(f"release {version} is not served; the end of {log}:\n{tail}")
            time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        state = self._state()
        if state is None:
            return
        os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while not self._is_free():
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"process {state.pid}, which serves release {state.version} from "
                    f"{self._work}, does not end: stop it"
                )
            time.sleep(POLL_SECONDS)

    def _is_free(self) -> bool:
        """Whether nobody has the folder any more; its holder ends after all that it has started."""
        try:
            with claimed(self._work):
                return True
        except ValueError:
            return False

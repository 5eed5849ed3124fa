"""What is served from a work folder: `serving.json`, and the claim to the folder."""

import contextlib
import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

STATE_FILE = "serving.json"
LOCK_FILE = "serving.lock"


class ServingState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a release is served: `serving.json` in the work folder, while it is."""

    release: str
    """Folder of the release, or a link to it."""
    version: str
    """Of the release when the servers were started."""
    url: str
    """The REST API's."""
    management_url: str
    metrics_urls: dict[str, str]
    """Prometheus metrics of `torchserve`, of its `handler` and of the `sidecar`."""
    readiness_url: str
    """The sidecar's."""
    socket: str
    pids: dict[str, int]
    """Of the servers."""
    pid: int
    """Of the process that started them, whose end is theirs."""


def read_state(work: Path) -> ServingState | None:
    """What is served from a work folder now; what a killed process left there is nothing."""
    try:
        state = msgspec.json.decode((work / STATE_FILE).read_bytes(), type=ServingState)
        # The socket has a path of its own; a process id may be another process by now.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(state.socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    return state


@contextlib.contextmanager
def claimed(work: Path) -> Iterator[None]:
    """Holds a work folder against all others, for no longer than this process lives.

    Raises:
        ValueError: another has it.
    """
    with (work / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = read_state(work)
            what = (
                f"release {running.version} is served from {work} already, at {running.url} by "
                f"the processes {running.pids}"
                if running
                else f"another process starts or stops to serve from {work}"
            )
            raise ValueError(f"{what}: stop it, or give another work folder") from None
        yield


@contextlib.contextmanager
def published(state: ServingState, work: Path) -> Iterator[None]:
    """Lets `read_state` find it, whole or not at all."""
    path = work / STATE_FILE
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)

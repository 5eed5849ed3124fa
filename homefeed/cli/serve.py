"""`homefeed serve`: a release in the foreground until Ctrl-C."""

import contextlib
import json
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from homefeed.cli.catalogue import first_user
from homefeed.cli.console import log, say
from homefeed.cli.last_run import last_release, read_last_run
from homefeed.cli.signals import stop_in_order
from serving.client.client import PATH
from serving.local import HOST, LocalServing, ServingState


def serve_release(release: Path | None, work: Path, port: int) -> NoReturn:
    """Serves until a signal, or until a server ends.

    Args:
        release: folder of a release; None takes the last run's.
        work: folder of the last run; gets logs and `serving.json`.
        port: of the REST API; 0 takes a free one.

    Raises:
        ValueError: there is no release, the port is taken, or the work folder serves already.
        RuntimeError: a server could not start or has ended.
    """
    release = release or last_release(work)
    _refuse_taken(port)
    with start_serving(release, work, port) as serving:
        _show(serving.state, work, _example_user(serving.state, work))
        serving.wait()


@contextlib.contextmanager
def start_serving(release: Path, work: Path, port: int = 0) -> Iterator[LocalServing]:
    """`LocalServing` with a sign of life while it starts."""
    stop_in_order()
    with contextlib.ExitStack() as stack:
        with log.status("starting TorchServe and the FAISS sidecar"):
            serving = stack.enter_context(LocalServing(release, work, port=port))
        yield serving


def _refuse_taken(port: int) -> None:
    """TorchServe would say it amid a hundred lines of Java."""
    with socket.socket() as probe:
        # As TorchServe does: connections of a server before it may still be closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ValueError(
                f"port {port} of {HOST} cannot be used ({error.strerror}): give another with "
                "--port, or --port 0 for a free one"
            ) from error


def _example_user(state: ServingState, work: Path) -> str:
    """A user that the release knows, if the last run made it."""
    last = read_last_run(work)
    if last is None or last.version != state.version:
        return "1"
    return first_user(Path(last.dataset))


def _show(state: ServingState, work: Path, user_id: str) -> None:
    body = json.dumps({"user_id": user_id, "k": 5}, ensure_ascii=False)
    url = shlex.quote(state.url + PATH)
    say(f"serving release {state.version} at {state.url}", style="bold")
    say(f"  curl -H 'Content-Type: application/json' -d {shlex.quote(body)} {url}")
    for name, address in state.metrics_urls.items():
        say(f"  metrics of {name}: {address}")
    say(f"  logs: {work / 'logs'}")
    say("Ctrl-C stops it")

"""The sidecar process: two HTTP servers on one event loop.

The search listens on a Unix socket, which only the pod's own containers reach; the probes and
metrics listen on TCP, where kubelet and Prometheus come in.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from serving.index_sidecar.app import create_app
from serving.index_sidecar.asgi import App
from serving.index_sidecar.follow_metrics import FollowCollector
from serving.index_sidecar.loader import Loader
from serving.index_sidecar.metrics import Metrics
from serving.index_sidecar.operations import create_operations_app
from serving.index_sidecar.pool import SearchPool
from serving.index_sidecar.recall import RecallSampler
from serving.index_sidecar.settings import Settings

GRACE_SECONDS = 5
"""What running requests get to finish after SIGTERM."""
KEEP_ALIVE_SECONDS = 3600
"""Callers keep their connections: one closed for idling would fail the next request on it."""

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the process, which runs two of them.

    Where httptools and uvloop are installed, as in the image, uvicorn takes them: the way there and
    back takes a third less time than in plain Python.
    """

    def __init__(self, app: App) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def serve(
    release: Path, socket_path: Path, metrics_host: str, metrics_port: int, settings: Settings
) -> None:
    """Serves a release's index until SIGTERM or SIGINT.

    Args:
        release: folder of the release, whose every file is verified first, or a link to it: what
            that is pointed to later takes its place.
        socket_path: Unix socket of the search; a stale one is replaced.
        metrics_host: address of the probes and metrics.
        metrics_port: their port; 0 takes a free one, which the log names.
        settings: limits.

    Raises:
        ValueError: the release is broken, or something else lies at `socket_path`.
        OSError: a socket cannot be bound.
    """
    started = time.perf_counter()
    metrics = Metrics()
    metrics.registry.register(FollowCollector(release))
    loader = Loader(release, metrics)
    pool = SearchPool(settings, metrics)
    recall = RecallSampler(settings.recall_share, metrics)
    search_app = create_app(loader, pool, recall, metrics, settings)
    operations_app = create_operations_app(loader, metrics)
    with (
        contextlib.closing(recall),
        contextlib.closing(pool),  # before the other, to which its searches go
        _listen_tcp(metrics_host, metrics_port) as tcp,
        _listen_unix(socket_path) as unix,
        _following(loader),
    ):
        details = loader.held.current.engine.details
        facts = {
            "version": loader.held.current.version,
            "embedding_space": details.embedding_space,
            "num_pins": details.num_pins,
            "socket": str(socket_path),
            "metrics_port": tcp.getsockname()[1],
            "seconds": round(time.perf_counter() - started, 3),
        }
        logger.info("serving", extra={"facts": facts})
        search_server, operations_server = Server(search_app), Server(operations_app)
        with asyncio.Runner(loop_factory=search_server.config.get_loop_factory()) as runner:
            runner.run(_run({search_server: unix, operations_server: tcp}))
    logger.info("stopped")


async def _run(servers: dict[Server, socket.socket]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve([bound]) for server, bound in servers.items()))


@contextlib.contextmanager
def _following(loader: Loader) -> Iterator[None]:
    stop = threading.Event()
    # A release that is being loaded must not hold back the end.
    threading.Thread(target=loader.follow, args=(stop,), name="loader", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _listen_tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


@contextlib.contextmanager
def _listen_unix(path: Path) -> Iterator[socket.socket]:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ValueError(f"{path} exists and is no socket: give another --socket")
        path.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen()
        # The group is what containers of a pod share when their users differ.
        os.chmod(path, 0o660)
        try:
            yield bound
        finally:
            path.unlink(missing_ok=True)

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
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from homefeed.index.search import SearchEngine
from homefeed.release.bundle import Release
from serving.index_sidecar.app import ServedIndex, create_app
from serving.index_sidecar.asgi import App
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
    """A uvicorn server that leaves signals to the process, which runs two of them."""

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
        release: folder of the release; every file is verified first.
        socket_path: Unix socket of the search; a stale one is replaced.
        metrics_host: address of the probes and metrics.
        metrics_port: their port; 0 takes a free one, which the log names.
        settings: limits.

    Raises:
        ValueError: the release is broken, or something else lies at `socket_path`.
        OSError: a socket cannot be bound.
    """
    started = time.perf_counter()
    opened = Release.open(release)
    engine = SearchEngine.load(opened.index)
    engine.warm_up()
    metrics = Metrics()
    pool = SearchPool(settings, metrics)
    served = ServedIndex(opened.version, opened.manifest.created_at, engine)
    recall = RecallSampler(settings.recall_share, metrics)
    search_app = create_app(served, pool, recall, metrics, settings)
    operations_app = create_operations_app(served, metrics)
    with (
        contextlib.closing(recall),
        contextlib.closing(pool),  # before the other, to which its searches go
        _listen_tcp(metrics_host, metrics_port) as tcp,
        _listen_unix(socket_path) as unix,
    ):
        facts = {
            "version": opened.version,
            "embedding_space": engine.details.embedding_space,
            "num_pins": engine.details.num_pins,
            "socket": str(socket_path),
            "metrics_port": tcp.getsockname()[1],
            "seconds": round(time.perf_counter() - started, 3),
        }
        logger.info("serving", extra={"facts": facts})
        asyncio.run(_run({Server(search_app): unix, Server(operations_app): tcp}))
    logger.info("stopped")


async def _run(servers: dict[Server, socket.socket]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve([bound]) for server, bound in servers.items()))


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

"""A release served on this machine: the sidecar and TorchServe, started and stopped together."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

import httpx
import msgspec

from homefeed.release.bundle import MODEL_STORE_FOLDER, read_release_manifest
from serving.local.state import ServingState, claimed, published
from serving.processes import Child
from serving.torchserve.archive import MODEL
from serving.torchserve.config import ServerSettings, torchserve_command, write_server_config

HOST = "127.0.0.1"
START_SECONDS = 120.0
POLL_SECONDS = 0.1


class _Worker(msgspec.Struct):
    status: str
    pid: int


class _Model(msgspec.Struct):
    workers: list[_Worker]


class LocalServing:
    """Serves a release while the context is open; for the main thread.

    Whatever ends the context ends both servers: an error, Ctrl-C, SIGTERM. Where this process is
    killed outright, Linux kills them.
    """

    def __init__(
        self, release: Path, work: Path, *, port: int = 0, start_seconds: float = START_SECONDS
    ) -> None:
        """Takes what to serve; entering the context starts it.

        Args:
            release: folder of the release, or a link to it, which both servers follow.
            work: folder for logs and `serving.json`.
            port: of the REST API; 0 takes a free one, as all other ports are.
            start_seconds: most time until requests are answered.
        """
        self._release = release.absolute()
        self._work = work.resolve()
        self._port = port
        self._start_seconds = start_seconds

    def __enter__(self) -> "LocalServing":
        """Starts both servers and waits until they answer.

        Raises:
            ValueError: the folder is no release, or one is served from this work folder already.
            RuntimeError: a server ended or was not ready in time; shows the end of its log.
        """
        version = read_release_manifest(self._release).version
        logs = self._work / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(claimed(self._work))
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _exit))
            # Without the environment's proxy, which would be asked for its own 127.0.0.1.
            self._http = stack.enter_context(httpx.Client(trust_env=False))
            # The path of a socket has at most 108 bytes, and a work folder may lie deep.
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homefeed-")))
            state, commands = self._plan(version, temporary)
            self._children = []
            for name, (command, environment) in commands.items():
                child = Child(name, command, environment, logs / f"{name}.log")
                stack.callback(child.stop)
                self._children.append(child)
            pids = {child.name: child.pid for child in self._children}
            self.state = msgspec.structs.replace(state, pids=pids)
            self._wait_until_ready()
            stack.enter_context(published(self.state, self._work))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def wait(self) -> NoReturn:
        """Waits for a server to end, which neither does by itself.

        Raises:
            RuntimeError: one has ended; shows the end of its log.
        """
        while True:
            self._check()
            time.sleep(POLL_SECONDS)

    def _plan(
        self, version: str, temporary: Path
    ) -> tuple[ServingState, dict[str, tuple[list[str], Mapping[str, str]]]]:
        """Addresses, and the commands with their environments; writes TorchServe's config."""
        ports = free_ports(7)
        sidecar_port = ports[0]
        handler_metrics = f"{HOST}:{ports[1]}"
        settings = ServerSettings(
            inference_address=f"{HOST}:{self._port or ports[2]}",
            management_address=f"{HOST}:{ports[3]}",
            metrics_address=f"{HOST}:{ports[4]}",
            grpc_inference_port=ports[5],
            grpc_management_port=ports[6],
        )
        write_server_config(self._work, settings)
        socket_path = temporary / "sidecar.sock"
        handler_metrics_folder = temporary / "metrics"
        handler_metrics_folder.mkdir()
        # TorchServe looks for it with each worker that it starts; a release may be gone by then.
        model_store = temporary / MODEL_STORE_FOLDER
        shutil.copytree(self._release / MODEL_STORE_FOLDER, model_store)
        state = ServingState(
            release=str(self._release),
            version=version,
            url=f"http://{settings.inference_address}",
            management_url=f"http://{settings.management_address}",
            metrics_urls={
                "torchserve": f"http://{settings.metrics_address}/metrics",
                "handler": f"http://{handler_metrics}/metrics",
                "sidecar": f"http://{HOST}:{sidecar_port}/metrics",
            },
            readiness_url=f"http://{HOST}:{sidecar_port}/readyz",
            socket=str(socket_path),
            pids={},
            pid=os.getpid(),
        )
        environment = {
            **os.environ,
            "HOMEFEED_RELEASE": str(self._release),
            "HOMEFEED_SOCKET": str(socket_path),
            "HOMEFEED_METRICS_ADDRESS": handler_metrics,
            "PROMETHEUS_MULTIPROC_DIR": str(handler_metrics_folder),
        }
        return state, {
            "sidecar": (sidecar_command(self._release, socket_path, sidecar_port), os.environ),
            "torchserve": (torchserve_command(self._work, model_store, temporary), environment),
        }

    def _check(self) -> None:
        for child in self._children:
            child.check()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        worker_pids: set[int] = set()
        while True:
            self._check()
            workers = self._workers()
            worker_pids.update(worker.pid for worker in workers if worker.pid > 0)
            if len(worker_pids) > len(workers):
                # TorchServe would start it again and again, for minutes.
                self._fail("a worker of TorchServe died while it loaded the release")
            if workers and all(each.status == "READY" for each in workers) and self._has_sidecar():
                return
            if time.monotonic() > deadline:
                self._fail(f"not ready after {self._start_seconds:g} seconds")
            time.sleep(POLL_SECONDS)

    def _fail(self, reason: str) -> NoReturn:
        tails = "\n".join(child.tail() for child in self._children)
        raise RuntimeError(f"release {self.state.version} cannot be served: {reason}.\n{tails}")

    def _workers(self) -> list[_Worker]:
        """TorchServe's workers; its /ping is healthy without any."""
        try:
            answer = self._http.get(f"{self.state.management_url}/models/{MODEL}")
        except httpx.TransportError:
            return []
        if answer.status_code == HTTPStatus.NOT_FOUND:
            self._fail("TorchServe did not take the model of the release's model store")
        return msgspec.json.decode(answer.content, type=list[_Model])[0].workers

    def _has_sidecar(self) -> bool:
        try:
            return self._http.get(self.state.readiness_url).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False


def sidecar_command(release: Path, socket_path: Path, port: int) -> list[str]:
    """The command line of the sidecar, with its probes and metrics at a port of this machine."""
    command = [sys.executable, "-m", "serving.index_sidecar", "--release", str(release)]
    return [*command, "--socket", str(socket_path), "--metrics-port", str(port)]


def free_ports(number: int) -> list[int]:
    """Different ports of this machine that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        bound = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in bound:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in bound]


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Turns a signal into an exception, so that contexts are left in order."""
    sys.exit(128 + number)

"""The servers that are measured, each started on free ports and stopped with its context."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from benchmarks.keys import ROOT
from benchmarks.serving import echo_handler
from benchmarks.serving.load import Target
from homefeed.release.bundle import Release, read_release_manifest
from serving.client.client import PATH
from serving.local import HOST, LocalServing, free_ports, sidecar_command
from serving.processes import Child
from serving.torchserve.archive import MANIFEST, MODEL, MODEL_FOLDER, write_model_store
from serving.torchserve.config import ServerSettings, torchserve_command, write_server_config

START_SECONDS = 120.0
POLL_SECONDS = 0.1
NOT_DEGRADED = b'"degraded":false'
FASTAPI_PATH = "/recommendations"


@contextlib.contextmanager
def homefeed(release: Path, work: Path) -> Iterator[LocalServing]:
    """TorchServe and the sidecar, as `homefeed serve` runs them."""
    work.mkdir(parents=True, exist_ok=True)
    with LocalServing(release, work, start_seconds=START_SECONDS) as serving:
        yield serving


def homefeed_target(serving: LocalServing) -> Target:
    """Popular pins in place of a search are an error here."""
    address = urlsplit(serving.state.url)
    assert address.hostname and address.port
    return Target(address.hostname, address.port, PATH, NOT_DEGRADED)


@contextlib.contextmanager
def echo(answer: bytes, work: Path) -> Iterator[Target]:
    """TorchServe with the same settings and a handler that does nothing."""
    work = work.resolve()
    store = work / "model-store"
    shutil.rmtree(work, ignore_errors=True)
    write_model_store(store)
    model = store / MODEL_FOLDER
    handler = Path(echo_handler.__file__)
    shutil.copy(handler, model)
    (model / echo_handler.ANSWER_FILE).write_bytes(answer)
    manifest = MANIFEST | {"model": MANIFEST["model"] | {"handler": handler.name}}
    (model / "MAR-INF" / "MANIFEST.json").write_bytes(msgspec.json.encode(manifest))
    ports = free_ports(5)
    settings = ServerSettings(
        inference_address=f"{HOST}:{ports[0]}",
        management_address=f"{HOST}:{ports[1]}",
        metrics_address=f"{HOST}:{ports[2]}",
        grpc_inference_port=ports[3],
        grpc_management_port=ports[4],
    )
    write_server_config(work, settings)

    def is_ready(http: httpx.Client) -> bool:
        answer = http.get(f"http://{settings.management_address}/models/{MODEL}")
        workers = answer.json()[0]["workers"]
        return any(worker["status"] == "READY" for worker in workers)

    # The path of a socket has at most 108 bytes.
    with tempfile.TemporaryDirectory(prefix="echo-") as temporary:
        command = torchserve_command(work, store, Path(temporary))
        with _running("echo", command, work, is_ready):
            yield Target(HOST, ports[0], PATH, answer)


@contextlib.contextmanager
def fastapi(release: Path, work: Path) -> Iterator[Target]:
    """What a user would build instead, in one process."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.serving.fastapi_server"]
    command += ["--release", str(release.resolve()), "--port", str(port)]

    def is_ready(http: httpx.Client) -> bool:
        return http.get(f"http://{HOST}:{port}/docs").status_code == HTTPStatus.OK

    work.mkdir(parents=True, exist_ok=True)
    with _running("fastapi", command, work, is_ready):
        yield Target(HOST, port, FASTAPI_PATH, b'"pins":')


@contextlib.contextmanager
def sidecar(folder: Path, work: Path) -> Iterator[Path]:
    """The sidecar alone; its socket."""
    work.mkdir(parents=True, exist_ok=True)
    release = Release(folder, read_release_manifest(folder))
    (port,) = free_ports(1)

    def is_ready(http: httpx.Client) -> bool:
        return http.get(f"http://{HOST}:{port}/readyz").status_code == HTTPStatus.OK

    with tempfile.TemporaryDirectory(prefix="sidecar-") as temporary:
        socket_path = Path(temporary) / "sidecar.sock"
        command = sidecar_command(release.folder.resolve(), socket_path, port)
        with _running("sidecar", command, work, is_ready):
            yield socket_path


@contextlib.contextmanager
def _running(
    name: str, command: list[str], work: Path, is_ready: Callable[[httpx.Client], bool]
) -> Iterator[None]:
    """Starts a command and waits until it answers.

    Raises:
        RuntimeError: it ended or was not ready in time; shows the end of its log.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with contextlib.ExitStack() as stack:
        # Without the environment's proxy, which would be asked for its own 127.0.0.1.
        http = stack.enter_context(httpx.Client(trust_env=False))
        log = work.resolve() / f"{name}.log"
        child = Child(name, command, {**os.environ, "PYTHONPATH": path}, log)
        stack.callback(child.stop)
        deadline = time.monotonic() + START_SECONDS
        while True:
            child.check()
            with contextlib.suppress(httpx.TransportError):
                if is_ready(http):
                    break
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{name} is not ready after {START_SECONDS:g} seconds.\n{child.tail()}"
                )
            time.sleep(POLL_SECONDS)
        yield

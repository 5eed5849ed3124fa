"""How `LocalServing` starts, refuses to start, and ends; each process is a real one."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from homefeed.contracts import USER_TOWER_FILE
from homefeed.release.bundle import MODEL_STORE_FOLDER
from serving.local import HOST, LocalServing, free_ports, read_state
from serving.local.state import STATE_FILE
from serving.torchserve.archive import MODEL_FOLDER
from tests.serving.observing import descendants, is_running, wait_until
from tests.serving.small_release import SmallRelease, sign_release

# A shell that runs tests in the background has its children ignore SIGINT.
SERVE = """
import signal, sys
from pathlib import Path
from serving.local import LocalServing
signal.signal(signal.SIGINT, signal.default_int_handler)
with LocalServing(Path(sys.argv[1]), Path(sys.argv[2])) as serving:
    serving.wait()
"""


@contextmanager
def serving_process(release: Path, work: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that serves until a signal."""
    command = [sys.executable, "-c", SERVE, str(release), str(work)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def has_java(pid: int) -> bool:
    return any(child.name() == "java" for child in psutil.Process(pid).children())


def all_gone(pids: list[int]) -> bool:
    return not any(is_running(pid) for pid in pids)


def test_nothing_outlives_a_killed_process_nor_hinders_the_next(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    with serving_process(small_release.folder, tmp_path) as process:
        wait_until(lambda: read_state(tmp_path), "a release that is served")
        killed = read_state(tmp_path)
        assert killed is not None
        servers = descendants(process.pid)
        assert len(servers) == 3  # the sidecar, TorchServe and its worker
        process.kill()
    wait_until(lambda: all_gone(servers), "the servers' end")
    assert (tmp_path / STATE_FILE).exists()
    assert read_state(tmp_path) is None
    shutil.rmtree(Path(killed.socket).parent)  # which nobody knows of any more

    with serving_process(small_release.folder, tmp_path) as process:
        wait_until(lambda: read_state(tmp_path), "a release that is served again")
        state = read_state(tmp_path)
        assert state is not None
        servers = descendants(process.pid)
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
    assert all_gone(servers)
    assert not (tmp_path / STATE_FILE).exists()
    assert not Path(state.socket).parent.exists()


def test_an_interrupt_while_it_starts_leaves_nothing_behind(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    with serving_process(small_release.folder, tmp_path) as process:
        wait_until(lambda: has_java(process.pid), "a TorchServe that starts")
        servers = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait() == -signal.SIGINT
    assert all_gone(servers)
    assert read_state(tmp_path) is None


def test_a_second_start_in_its_folder_is_refused(
    serving: LocalServing, work: Path, small_release: SmallRelease
) -> None:
    message = f"{serving.state.version} is served from .* already, at {serving.state.url}"
    with pytest.raises(ValueError, match=message):
        LocalServing(small_release.folder, work).__enter__()
    assert httpx.get(f"{serving.state.url}/ping").status_code == 200
    assert read_state(work) == serving.state


def test_a_taken_port_is_told(small_release: SmallRelease, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match="torchserve ended with exit code 1") as caught:
            LocalServing(small_release.folder, tmp_path, port=port).__enter__()
    assert f"Failed to bind to address: http://{HOST}:{port}" in str(caught.value)
    assert "Address already in use" in str(caught.value)


def test_a_folder_that_is_no_release_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no manifest.json: it is no finished release"):
        LocalServing(tmp_path, tmp_path / "work").__enter__()
    assert not (tmp_path / "work").exists()


@pytest.fixture
def broken(small_release: SmallRelease, tmp_path: Path) -> Path:
    """A copy of the release, to be broken."""
    return shutil.copytree(small_release.folder, tmp_path / "release")


def failure(release: Path, work: Path) -> str:
    with pytest.raises(RuntimeError) as caught:
        LocalServing(release, work).__enter__()
    assert read_state(work) is None
    return str(caught.value)


def test_a_missing_file_is_named(broken: Path, tmp_path: Path) -> None:
    (broken / USER_TOWER_FILE).unlink()
    reason = failure(broken, tmp_path / "work")
    assert "sidecar ended with exit code 2" in reason
    assert f"lacks {broken / USER_TOWER_FILE}: fetch it again" in reason


def test_a_tower_that_cannot_be_loaded_is_told(broken: Path, tmp_path: Path) -> None:
    (broken / USER_TOWER_FILE).write_bytes(b"no tower")
    sign_release(broken)
    reason = failure(broken, tmp_path / "work")
    assert "a worker of TorchServe died while it loaded the release" in reason
    assert "PytorchStreamReader failed" in reason


def test_a_release_without_its_model_is_told(broken: Path, tmp_path: Path) -> None:
    shutil.rmtree(broken / MODEL_STORE_FOLDER / MODEL_FOLDER)
    sign_release(broken)
    reason = failure(broken, tmp_path / "work")
    assert "TorchServe did not take the model of the release's model store" in reason


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        socket.create_server((HOST, port)).close()

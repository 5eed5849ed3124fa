"""`homefeed serve` as a process: what it says, and that nothing outlives it."""

import signal
import socket
from pathlib import Path

import httpx
import pytest

from serving.local import read_state
from tests.cli.conftest import Served, leave_run
from tests.cli.homefeed_process import run_homefeed, start_homefeed
from tests.serving.small_release import SmallRelease


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_last_run_is_served_until_a_signal_and_nothing_stays(
    number: signal.Signals, cli_release: SmallRelease, tmp_path: Path
) -> None:
    leave_run(tmp_path, cli_release)
    with start_homefeed("serve", "--work", tmp_path, "--port", "0") as running:
        said = running.read_until("Ctrl-C stops it")
        state = read_state(tmp_path)
        assert state is not None
        assert f"serving release {state.version} at {state.url}" in said
        assert '{"user_id": "reader", "k": 5}' in said
        for address in state.metrics_urls.values():
            assert address in said
            assert httpx.get(address, trust_env=False).status_code == 200
        assert len(running.descendants()) >= 3  # TorchServe, its worker, the sidecar
        _, errors = running.stop(number)
        assert running.process.returncode == 128 + number
        assert errors.strip() == "homefeed: stopped, with all that it had started"
        assert running.descendants() == []
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_servers_start_leaves_nothing(
    number: signal.Signals, cli_release: SmallRelease, tmp_path: Path
) -> None:
    arguments = ("serve", cli_release.folder, "--work", tmp_path, "--port", "0")
    with start_homefeed(*arguments) as running:
        running.wait_for("/bin/java")
        printed, _ = running.stop(number)
        assert running.process.returncode == 128 + number
        assert "serving release" not in printed
        assert running.descendants() == []


def test_a_taken_port_is_named(cli_release: SmallRelease, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = run_homefeed(
            "serve", cli_release.folder, "--work", tmp_path, "--port", str(port)
        )
    assert finished.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use)" in finished.stderr


@pytest.mark.parametrize("arguments", [["serve", "--port", "0"], ["run", "ml-1m"], ["demo"]])
def test_a_work_folder_that_is_served_is_left_alone(served: Served, arguments: list[str]) -> None:
    finished = run_homefeed(*arguments, "--work", served.work)
    assert finished.returncode == 1
    assert served.state.url in finished.stderr


def test_without_a_run_it_says_what_to_do(tmp_path: Path) -> None:
    finished = run_homefeed("serve", "--work", tmp_path)
    assert finished.returncode == 1
    assert f"bin/homefeed run ml-1m --work {tmp_path}`" in finished.stderr


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    finished = run_homefeed("serve", tmp_path, "--work", tmp_path / "work", "--port", "0")
    assert finished.returncode == 1
    assert f"{tmp_path} holds no manifest.json" in finished.stderr

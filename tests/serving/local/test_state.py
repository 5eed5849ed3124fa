import socket
from pathlib import Path

import msgspec
import pytest

from serving.local.state import STATE_FILE, ServingState, claimed, published, read_state

STATE = ServingState(
    release="/r",
    version="v",
    url="http://127.0.0.1:1",
    management_url="http://127.0.0.1:2",
    metrics_urls={},
    readiness_url="http://127.0.0.1:3/readyz",
    socket="",
    pids={"sidecar": 1, "torchserve": 1},
    pid=1,
)


def test_nothing_is_served_from_an_empty_or_absent_folder(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "absent") is None


def test_a_state_is_read_while_its_sidecar_listens(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    state = msgspec.structs.replace(STATE, socket=str(path))
    with published(state, tmp_path):
        assert read_state(tmp_path) is None  # not yet
        with socket.socket(socket.AF_UNIX) as sidecar:
            sidecar.bind(str(path))
            sidecar.listen()
            assert read_state(tmp_path) == state
        # What a killed process leaves: its state and its socket, and its ids for others to take.
        assert path.exists()
        assert (tmp_path / STATE_FILE).exists()
        assert read_state(tmp_path) is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_state_may_have_been_cleared_away(tmp_path: Path) -> None:
    with published(STATE, tmp_path):
        (tmp_path / STATE_FILE).unlink()


def test_a_folder_has_one_claim(tmp_path: Path) -> None:
    with claimed(tmp_path):
        with pytest.raises(ValueError, match=f"another process starts or stops .* {tmp_path}:"):
            with claimed(tmp_path):
                pass
        (tmp_path / "other").mkdir()
        with claimed(tmp_path / "other"):
            pass
    with claimed(tmp_path):
        pass

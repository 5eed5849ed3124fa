"""The client against real sidecar processes, and against sockets where something else listens."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest

from homefeed.index.protocol import Query, SearchRequest
from homefeed.index.search import SearchEngine
from serving.torchserve.circuit_breaker import MAX_LATE
from serving.torchserve.sidecar_client import Reason, SidecarClient, SidecarError
from tests.index.artifacts import SPACE
from tests.serving.sidecar_process import running
from tests.serving.small_release import NUM_PINS, SmallRelease

PATIENT_SECONDS = 60.0
HURRIED_SECONDS = 0.2
NO_PAUSE_SECONDS = 1e-9
LONG_PAUSE_SECONDS = 3600.0


def query(release: SmallRelease, row: int, k: int = 5) -> Query:
    return Query(release.vectors[row].tobytes(), k)


def reason_of(client: SidecarClient, request: SearchRequest) -> Reason:
    with pytest.raises(SidecarError) as caught:
        client.search(request)
    assert str(caught.value)
    return caught.value.reason


def test_answers_are_the_engines_on_one_connection(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    engine = SearchEngine.load(small_release.folder / "index")
    with running(small_release.folder, tmp_path / "s.sock") as sidecar:
        client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS)
        for row in range(3):
            queries = tuple(query(small_release, row + each) for each in range(row))
            response = client.search(SearchRequest(SPACE, queries))
            assert response.answers == engine.search_batch(queries)
            assert response.index_version == sidecar.facts["version"]
        client.close()


def test_a_restarted_sidecar_is_found_again(small_release: SmallRelease, tmp_path: Path) -> None:
    client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS)
    request = SearchRequest(SPACE, (query(small_release, 1),))
    with running(small_release.folder, tmp_path / "s.sock"):
        expected = client.search(request)
    assert reason_of(client, request) is Reason.UNREACHABLE
    with running(small_release.folder, tmp_path / "s.sock"):
        assert client.search(request) == expected
    # Killed and started anew between two searches, which is none of the caller's business.
    with running(small_release.folder, tmp_path / "s.sock"):
        assert client.search(request) == expected


def test_refusals_are_told_apart(small_release: SmallRelease, tmp_path: Path) -> None:
    with running(small_release.folder, tmp_path / "s.sock"):
        client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS)
        good = query(small_release, 1)
        other = reason_of(client, SearchRequest("space-b", (good,)))
        assert other is Reason.OTHER_EMBEDDING_SPACE
        too_large = SearchRequest(SPACE, (Query(bytes(40 << 20), 1),))
        assert reason_of(client, too_large) in (Reason.REFUSED, Reason.UNREACHABLE)
        refused, found = client.search(SearchRequest(SPACE, (Query(b"", 1), good))).answers
        assert isinstance(refused, str) and not isinstance(found, str)


def test_overload_is_told_apart(small_release: SmallRelease, tmp_path: Path) -> None:
    heavy = SearchRequest(SPACE, tuple(query(small_release, row, NUM_PINS) for row in range(300)))
    with running(small_release.folder, tmp_path / "s.sock", "--deadline-seconds", "0.001"):
        client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS)
        assert reason_of(client, heavy) is Reason.OVERLOADED


def test_a_sidecar_that_hangs_is_late_and_its_late_answer_is_nobodys(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    first, second = (SearchRequest(SPACE, (query(small_release, row),)) for row in (1, 2))
    with running(small_release.folder, tmp_path / "s.sock") as sidecar:
        client = SidecarClient(tmp_path / "s.sock", HURRIED_SECONDS, NO_PAUSE_SECONDS)
        patient = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS)
        expected = patient.search(second)
        os.kill(sidecar.process.pid, signal.SIGSTOP)
        assert reason_of(client, first) is Reason.LATE
        assert reason_of(client, first) is Reason.LATE
        os.kill(sidecar.process.pid, signal.SIGCONT)
        patient.search(first)
        while True:
            try:
                answer = client.search(second)
                break
            except SidecarError as error:  # a test machine may be slower than the client's hurry
                assert error.reason is Reason.LATE
        assert answer == expected


def test_a_sidecar_that_is_late_again_and_again_is_not_asked(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    request = SearchRequest(SPACE, (query(small_release, 1),))
    with running(small_release.folder, tmp_path / "s.sock") as sidecar:
        client = SidecarClient(tmp_path / "s.sock", HURRIED_SECONDS, LONG_PAUSE_SECONDS)
        os.kill(sidecar.process.pid, signal.SIGSTOP)
        reasons = [reason_of(client, request) for _ in range(MAX_LATE + 3)]
        assert reasons == [Reason.LATE] * MAX_LATE + [Reason.PAUSED] * 3
        os.kill(sidecar.process.pid, signal.SIGCONT)
        assert reason_of(client, request) is Reason.PAUSED


def test_a_sidecar_that_is_down_is_found_at_once_when_it_is_back(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    request = SearchRequest(SPACE, (query(small_release, 1),))
    client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS, LONG_PAUSE_SECONDS)
    for _ in range(MAX_LATE + 3):
        assert reason_of(client, request) is Reason.UNREACHABLE
    with running(small_release.folder, tmp_path / "s.sock"):
        assert len(client.search(request).answers) == 1


def test_a_sidecar_that_is_overloaded_is_asked_again_at_once(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    heavy = SearchRequest(SPACE, tuple(query(small_release, row, NUM_PINS) for row in range(300)))
    with running(small_release.folder, tmp_path / "s.sock", "--deadline-seconds", "0.001"):
        client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS, LONG_PAUSE_SECONDS)
        for _ in range(MAX_LATE + 3):
            assert reason_of(client, heavy) is Reason.OVERLOADED


@contextmanager
def listener(path: Path, answer: bytes) -> Iterator[None]:
    """A server that gives everyone the same answer and hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(answer)
            self.close_connection = True

    with UnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngarbage", Reason.REFUSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Reason.REFUSED),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd", Reason.REFUSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nless", Reason.UNREACHABLE),
        (b"this is no HTTP\r\n\r\n", Reason.UNREACHABLE),
        (b"", Reason.UNREACHABLE),
    ],
)
def test_what_is_no_answer_raises_nothing_else(
    small_release: SmallRelease, tmp_path: Path, answer: bytes, reason: Reason
) -> None:
    request = SearchRequest(SPACE, (query(small_release, 1),))
    with listener(tmp_path / "s.sock", answer):
        client = SidecarClient(tmp_path / "s.sock", PATIENT_SECONDS)
        assert reason_of(client, request) is reason
        assert reason_of(client, request) is reason
        client.close()


def test_where_nobody_listens_it_is_unreachable(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    request = SearchRequest(SPACE, (query(small_release, 1),))
    missing = SidecarClient(tmp_path / "none.sock", PATIENT_SECONDS)
    assert reason_of(missing, request) is Reason.UNREACHABLE
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale.sock"))
    assert reason_of(SidecarClient(tmp_path / "stale.sock", PATIENT_SECONDS), request) is (
        Reason.UNREACHABLE
    )

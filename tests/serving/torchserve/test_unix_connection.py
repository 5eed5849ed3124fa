"""The sidecar's HTTP as a socket may deliver it: in pieces, late, not at all."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.torchserve.unix_connection import UnixConnection

PATIENT_SECONDS = 60.0
HURRIED_SECONDS = 0.2

Answer = Callable[[socket.socket], None]


@contextmanager
def server(path: Path, connections: Sequence[Sequence[Answer]]) -> Iterator[list[bytes]]:
    """Takes connections one after the other, and gives each request on them its answer."""
    requests: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            for answers in connections:
                connected, _ = listening.accept()
                with connected:
                    for answer in answers:
                        requests.append(read_request(connected))
                        answer(connected)

        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        thread.join()


def read_request(connected: socket.socket) -> bytes:
    """Head and body of one request."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connected.recv(1 << 16)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connected.recv(1 << 16)
    return head + b"\r\n\r\n" + body


def whole(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def send(*pieces: bytes) -> Answer:
    def answer(connected: socket.socket) -> None:
        for piece in pieces:
            connected.sendall(piece)
            time.sleep(0.01)  # so that each is read by itself

    return answer


def post(connection: UnixConnection, body: bytes, seconds: float = PATIENT_SECONDS) -> bytes:
    status, answer = connection.post(b"/search", body, time.monotonic() + seconds)
    assert status == 200
    return answer


def test_requests_share_a_connection_and_say_what_they_are(tmp_path: Path) -> None:
    connection = UnixConnection(tmp_path / "s", "application/msgpack")
    with server(tmp_path / "s", [[send(whole(b"one")), send(whole(b""))]]) as requests:
        assert not connection.is_open
        assert post(connection, b"first") == b"one"
        assert connection.is_open
        assert post(connection, b"second" * 100_000) == b""
        connection.close()
    assert requests[0] == (
        b"POST /search HTTP/1.1\r\nHost: sidecar\r\nContent-Type: application/msgpack\r\n"
        b"Content-Length: 5\r\n\r\nfirst"
    )
    assert requests[1].endswith(b"\r\n\r\n" + b"second" * 100_000)


@pytest.mark.parametrize("cut", [1, 16, 37, 39, 40, 41, 1000])
def test_an_answer_may_come_in_pieces(tmp_path: Path, cut: int) -> None:
    text = whole(b"x" * 70_000)
    connection = UnixConnection(tmp_path / "s", "text/plain")
    with server(tmp_path / "s", [[send(text[:cut], text[cut:])]]):
        assert post(connection, b"") == b"x" * 70_000
        connection.close()


def test_headers_are_read_in_any_case(tmp_path: Path) -> None:
    text = b"HTTP/1.1 200 OK\r\nserver: a:b\r\nCONTENT-LENGTH:  3\r\n\r\nabc"
    connection = UnixConnection(tmp_path / "s", "text/plain")
    with server(tmp_path / "s", [[send(text)]]):
        assert post(connection, b"") == b"abc"
        connection.close()


def test_a_connection_that_ends_with_its_answer_is_not_used_again(tmp_path: Path) -> None:
    last, other = send(whole(b"last", b"connection: close")), send(whole(b"other"))
    connection = UnixConnection(tmp_path / "s", "text/plain")
    with server(tmp_path / "s", [[last], [other]]):
        assert post(connection, b"") == b"last"
        assert not connection.is_open
        assert post(connection, b"") == b"other"
        connection.close()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nless",
    ],
)
def test_what_is_no_answer_is_an_error(tmp_path: Path, text: bytes) -> None:
    connection = UnixConnection(tmp_path / "s", "text/plain")
    with server(tmp_path / "s", [[send(text)]]):
        with pytest.raises(ConnectionError):
            post(connection, b"")
        connection.close()


def test_an_answer_that_stalls_in_its_middle_is_late(tmp_path: Path) -> None:
    is_over = threading.Event()

    def stall(connected: socket.socket) -> None:
        connected.sendall(whole(b"x" * 100)[:-1])
        is_over.wait()

    connection = UnixConnection(tmp_path / "s", "text/plain")
    with server(tmp_path / "s", [[stall]]):
        try:
            with pytest.raises(TimeoutError):
                post(connection, b"", HURRIED_SECONDS)
        finally:
            is_over.set()
        connection.close()


def test_a_deadline_that_has_passed_sends_nothing(tmp_path: Path) -> None:
    connection = UnixConnection(tmp_path / "s", "text/plain")
    with server(tmp_path / "s", []), pytest.raises(TimeoutError):
        post(connection, b"", -1.0)

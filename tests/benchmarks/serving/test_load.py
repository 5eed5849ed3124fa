"""The load generator against a real server that does what its requests say."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serving import load
from benchmarks.serving.load import Target, generate

GOOD, OTHER, BUSY, CLOSE, HANG = b"good", b"other", b"busy", b"close", b"hang"
DELAY_SECONDS = 0.1
RATE = 64.0
"""Powers of two, so that the last request of a second is due in it and not with its end."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        self.release = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        if body == CLOSE:
            self.close_connection = True
            return
        if body == HANG:
            self.server.release.wait()
        if body.startswith(b"slow"):
            time.sleep(DELAY_SECONDS)
        self.send_response(503 if body == BUSY else 200)
        # In two parts, as an answer may come: the head, then a body of more than one read.
        answer = b"x" * 100_000 + (b"" if body == OTHER else b"expected")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def target(server: Server, *bodies: bytes) -> Target:
    host, port = server.server_address[:2]
    return Target(str(host), port, "/any", b"expected", bodies)


@pytest.mark.parametrize("num_connections", [1, 8])
def test_every_request_is_an_answer_or_an_error(server: Server, num_connections: int) -> None:
    bodies = (GOOD, OTHER, BUSY, GOOD, CLOSE)
    found = generate(target(server, *bodies), num_connections, seconds=0.5)
    received = {body: server.bodies.count(body) for body in bodies}
    assert received[GOOD] > 0
    assert len(found.seconds) == received[GOOD]
    assert found.errors == {
        "another answer": received[OTHER],
        "status 503": received[BUSY],
        "the connection was closed": received[CLOSE],
    }
    # In turn, whichever connection sends them.
    assert received[GOOD] - 2 * received[CLOSE] in range(3)


def test_an_answer_takes_as_long_as_the_server_did(server: Server) -> None:
    found = generate(target(server, b"slow", GOOD), 1, seconds=0.5)
    assert not found.errors
    assert all(seconds >= DELAY_SECONDS for seconds in found.seconds[::2])
    # One after the other, none is faster than all of the time allows.
    assert sum(found.seconds) <= found.elapsed
    assert found.cpu_seconds > 0


def test_with_a_rate_so_many_are_sent(server: Server) -> None:
    found = generate(target(server, GOOD), 4, seconds=0.5, rate=RATE)
    assert not found.errors
    assert len(found.seconds) == len(server.bodies) == RATE / 2


def test_with_a_rate_a_stall_is_charged_to_all_that_waited(server: Server) -> None:
    found = generate(target(server, b"slow", *[GOOD] * 30), 1, seconds=0.25, rate=RATE)
    assert len(found.seconds) == RATE / 4
    # The second was due 1/64 s after the first and could be sent only when that was answered.
    assert found.seconds[1] >= DELAY_SECONDS - 1 / RATE


def test_what_is_never_answered_is_an_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "ANSWER_SECONDS", 0.2)
    found = generate(target(server, HANG, GOOD), 2, seconds=0.1)
    assert found.errors["no answer"] >= 1
    assert found.errors["no answer"] + len(found.seconds) == len(server.bodies)

"""The client against a real HTTP server that answers as it is told."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from serving.client import (
    ClientRequest,
    HomefeedClient,
    HomefeedError,
    InvalidRequestError,
    UnavailableError,
)
from serving.client.client import PATH
from serving.torchserve.protocol import HistoryEntry, Pin, Recommendations, Request, UserFeatures

ANSWER = Recommendations(
    pins=(Pin("p1", 0.5, "embedding_0"), Pin("p2", None, "popular")),
    model_version="m",
    index_version=None,
    degraded=True,
    cold_start=False,
    user_features=UserFeatures.SNAPSHOT,
)
INVALID = b'{"error": {"field": "k", "message": "k must be an integer from 1 to 1000"}}'
POLL_SECONDS = 0.01
HANG_UP = 0
"""Stands for a connection that is closed without an answer."""


class Service(NamedTuple):
    """A running server: its URL, the bodies it was sent, and the ports they came from."""

    url: str
    requests: list[dict[str, Any]]
    ports: set[int]


@contextmanager
def service(*answers: tuple[int, bytes], wait: threading.Event | None = None) -> Iterator[Service]:
    """A server that gives these answers in turn, and the last one ever after."""
    requests: list[dict[str, Any]] = []
    ports: set[int] = set()
    turns = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == PATH
            assert self.headers["Content-Type"] == "application/json"
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            ports.add(self.client_address[1])
            if wait:
                wait.wait()
            status, body = next(turns, answers[-1])
            if status == HANG_UP:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,)).start()
        try:
            yield Service(f"http://127.0.0.1:{server.server_port}", requests, ports)
        finally:
            if wait:
                wait.set()
            server.shutdown()


OK = (200, msgspec.json.encode(ANSWER))


def test_an_answer_is_typed() -> None:
    with service(OK) as running, HomefeedClient(running.url) as client:
        assert client.recommend("u") == ANSWER


def test_what_is_asked_for_arrives_and_is_a_valid_request() -> None:
    with service(OK) as running, HomefeedClient(running.url) as client:
        client.recommend(
            "ü",
            k=3,
            interests=["größe"],
            exclude=("p1",),
            history=[HistoryEntry("p2", "save"), HistoryEntry("p3", "click", 9)],
            features={"age": None, "taste": [0.5]},
            include_seen=True,
            conditions=["größe"],
        )
        client.recommend("u")
        client.recommend("u", history=[])
    whole, least, without_history = running.requests
    assert whole == {
        "user_id": "ü",
        "k": 3,
        "interests": ["größe"],
        "exclude": ["p1"],
        "history": [
            {"pin_id": "p2", "action": "save"},
            {"pin_id": "p3", "action": "click", "timestamp": 9},
        ],
        "features": {"age": None, "taste": [0.5]},
        "include_seen": True,
        "conditions": ["größe"],
    }
    as_read = [
        msgspec.json.decode(json.dumps(request), type=Request) for request in running.requests
    ]
    assert as_read[1] == Request(user_id="u")
    assert (least["history"], without_history["history"]) == (None, [])


@pytest.mark.parametrize("refusal", [(503, b"busy"), (429, b"busy"), (HANG_UP, b"")])
def test_refusals_are_retried(refusal: tuple[int, bytes]) -> None:
    with service(refusal, refusal, OK) as running, HomefeedClient(running.url) as client:
        assert client.recommend("u", k=7) == ANSWER
    assert len(running.requests) == 3
    assert running.requests[0] == running.requests[2]


def test_retries_come_to_an_end() -> None:
    with service((503, b"busy")) as running, HomefeedClient(running.url, num_retries=2) as client:
        with pytest.raises(UnavailableError, match="status 503: busy") as caught:
            client.recommend("u")
    assert caught.value.status == 503
    assert len(running.requests) == 3


def test_connections_that_break_are_not_retried_for_ever() -> None:
    with service((HANG_UP, b"")) as running, HomefeedClient(running.url, num_retries=1) as client:
        with pytest.raises(UnavailableError, match="no connection") as caught:
            client.recommend("u")
    assert caught.value.status == 0
    assert len(running.requests) == 2


def test_where_nobody_listens_it_is_unavailable() -> None:
    with service(OK) as stopped:
        pass
    with HomefeedClient(stopped.url, num_retries=1) as client, pytest.raises(UnavailableError):
        client.recommend("u")


def test_a_late_answer_is_not_asked_for_again() -> None:
    wait = threading.Event()
    with (
        service(OK, wait=wait) as running,
        HomefeedClient(running.url, timeout_seconds=0.2) as client,
    ):
        with pytest.raises(UnavailableError, match="no answer in time"):
            client.recommend("u")
        assert len(running.requests) == 1


def test_a_wrong_request_names_its_field_and_is_not_retried() -> None:
    with service((400, INVALID)) as running, HomefeedClient(running.url) as client:
        with pytest.raises(InvalidRequestError, match="k: k must be an integer") as caught:
            client.recommend("u", k=0)
    assert (caught.value.field, caught.value.status) == ("k", 400)
    assert len(running.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"code": 404, "type": "ModelNotFoundException"}'),
        (403, b"<html>no entry</html>"),
        (413, b""),
        (500, b'{"code": 500, "message": "Worker died."}'),
        (502, b"\xff"),
        (200, b"<html>welcome to the proxy</html>"),
        (200, b"{}"),
        (301, b""),
    ],
)
def test_anything_else_is_an_error_with_its_status(status: int, body: bytes) -> None:
    with service((status, body)) as running, HomefeedClient(running.url) as client:
        with pytest.raises(HomefeedError) as caught:
            client.recommend("u")
    assert type(caught.value) is HomefeedError
    assert caught.value.status == status
    assert len(running.requests) == 1


def test_threads_share_a_client() -> None:
    with service(OK) as running, HomefeedClient(running.url, timeout_seconds=60) as client:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(client.recommend, [f"u{place}" for place in range(40)]))
    assert answers == [ANSWER] * 40
    assert {request["user_id"] for request in running.requests} == {
        f"u{place}" for place in range(40)
    }


def test_many_requests_are_answered_in_order_and_fail_one_by_one() -> None:
    requests: list[ClientRequest] = [
        {"user_id": "a", "k": 3},
        {"user_id": "b", "interests": ["art"]},
    ]
    bad: list[ClientRequest] = [{"user_id": "c", "k": 0}, {"user_id": "d"}]
    with service(OK, OK, (400, INVALID), (404, b"")) as running:
        with HomefeedClient(running.url) as client:
            *good, invalid, failed = client.recommend_many([*requests, *bad], concurrency=1)
    assert good == [ANSWER, ANSWER]
    assert isinstance(invalid, InvalidRequestError) and invalid.field == "k"
    assert type(failed) is HomefeedError and failed.status == 404
    assert [request["user_id"] for request in running.requests] == ["a", "b", "c", "d"]
    assert (running.requests[0]["k"], running.requests[1]["interests"]) == (3, ["art"])


class Threes(threading.Event):
    """Lets requests pass in threes, so that nothing passes unless three come at once."""

    def __init__(self) -> None:
        super().__init__()
        self._barrier = threading.Barrier(3)

    def wait(self, timeout: float | None = None) -> bool:
        self._barrier.wait(timeout)
        return True

    def set(self) -> None:
        self._barrier.abort()


def test_as_many_requests_as_asked_for_are_on_their_way_at_once() -> None:
    requests: list[ClientRequest] = [{"user_id": f"u{place}"} for place in range(12)]
    with service(OK, wait=Threes()) as running:
        with HomefeedClient(running.url, timeout_seconds=60) as client:
            assert client.recommend_many(requests, concurrency=3) == [ANSWER] * 12
    # A connection is kept open, so there are as many as there were requests at once.
    assert len(running.ports) == 3
    assert sorted(request["user_id"] for request in running.requests) == sorted(
        request["user_id"] for request in requests
    )


def test_no_request_is_no_answer() -> None:
    with service(OK) as running, HomefeedClient(running.url) as client:
        assert client.recommend_many([]) == []
        with pytest.raises(ValueError, match="concurrency=0 must be at least 1"):
            client.recommend_many([{"user_id": "u"}], concurrency=0)
    assert not running.requests


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with service((502, b"a proxy")) as proxy, service(OK) as running:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with HomefeedClient(running.url) as client:
            assert client.recommend("u") == ANSWER
        port = httpx.URL(running.url).port
        with HomefeedClient(f"http://localhost:{port}") as client:
            assert client.recommend("u") == ANSWER
    assert not proxy.requests

"""The smoke test's verdict on answers, by an HTTP server that gives them as they are wanted."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from homefeed.deployment.config import SmokeTestConfig
from homefeed.deployment.layout import Answer
from homefeed.deployment.smoke_test import UNKNOWN_USER, run_smoke_test

VERSION = "20261128T000000Z-00000000"
OTHER = "20261127T000000Z-00000000"
RIGHT: dict[str, Any] = {
    "pins": [{"pin_id": str(row), "score": 1.0, "source": "embedding_0"} for row in range(10)],
    "model_version": VERSION,
    "index_version": VERSION,
    "degraded": False,
    "cold_start": True,
}


@contextmanager
def answering(
    *answers: tuple[int, Any], missing: int = 0
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that gives these in turn, the last one ever after; and what it was asked.

    Of each answer so many bytes are missing.
    """
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked.append({"path": self.path, **json.loads(self.rfile.read(length))})
            status, body = answers[min(len(asked), len(answers)) - 1]
            text = body if isinstance(body, str) else json.dumps(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode()) + missing))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def ask(url: str, num_pins: int = 1000, **options: Any) -> list[Answer]:
    given: dict[str, Any] = {"tries": 1, **options}
    config = SmokeTestConfig(**given)
    return list(run_smoke_test({"pod": url}, VERSION, num_pins, config))


def test_each_user_is_asked_for_and_a_right_answer_has_no_complaint() -> None:
    with answering((200, RIGHT)) as (url, asked):
        answers = ask(url, users=("ann", "bob"))
    assert [each.complaint for each in answers] == ["", "", ""]
    assert [each["user_id"] for each in asked] == [UNKNOWN_USER, "ann", "bob"]
    assert {(each["path"], each["k"]) for each in asked} == {("/predictions/homefeed", 10)}


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (200, {**RIGHT, "degraded": True, "index_version": None}, "the answer is degraded"),
        (200, {**RIGHT, "model_version": OTHER}, f"towers of release {OTHER} answered, not"),
        (200, {**RIGHT, "index_version": OTHER}, f"index of release {OTHER} answered, not"),
        (200, {**RIGHT, "pins": RIGHT["pins"][:9]}, "9 pins, not 10"),
        (200, {"status": "Healthy"}, "the answer is none of homefeed's"),
        (503, "busy", "status 503: busy"),
    ],
)
def test_what_is_wrong_is_said(status: int, body: Any, complaint: str) -> None:
    with answering((status, body)) as (url, _):
        (answer,) = ask(url)
    assert complaint in answer.complaint


@pytest.mark.parametrize(
    ("status", "complaint"), [(200, "no answer: IncompleteRead"), (503, "status 503: its text")]
)
def test_an_answer_that_breaks_off_is_none(status: int, complaint: str) -> None:
    with answering((status, RIGHT), missing=10) as (url, _):
        (answer,) = ask(url)
    assert answer.complaint.startswith(complaint)


def test_a_release_of_few_pins_need_not_give_more() -> None:
    with answering((200, {**RIGHT, "pins": RIGHT["pins"][:3]})) as (url, _):
        assert [each.complaint for each in ask(url, num_pins=3)] == [""]


def test_a_first_answer_that_is_late_is_asked_for_again() -> None:
    with answering((200, {**RIGHT, "degraded": True}), (200, RIGHT)) as (url, asked):
        assert [each.complaint for each in ask(url, tries=2)] == [""]
    assert len(asked) == 2


def test_who_does_not_answer_is_named() -> None:
    with answering((200, RIGHT)) as (url, _):
        pass
    (answer,) = ask(url)
    assert answer.complaint.startswith("no answer: ")

"""Whatever is sent over HTTP: the answer names the field and what is valid, and service goes on."""

import json
import socket
from typing import Any

import httpx
import pytest

from serving.client.client import PATH
from serving.local import LocalServing
from serving.torchserve.request import MAX_BODY_BYTES
from tests.serving.observing import metric

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def _still_answers(api: httpx.Client) -> Any:
    yield
    answer = api.post(PATH, json={"user_id": "reader", "k": 2})
    assert (answer.status_code, len(answer.json()["pins"])) == (200, 2)


def refused(answer: httpx.Response, status: int, field: str, message: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error.keys() == {"field", "message"}
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        ({"k": 3}, "user_id", "missing required field"),
        ({"user_id": ""}, "user_id", "a string of 1 to 512 characters"),
        ({"user_id": 7}, "user_id", "Expected `str`, got `int`"),
        ({"user_id": "u", "kk": 3}, "kk", "there are user_id, k, interests, exclude, history"),
        ({"user_id": "u", "k": 0}, "k", "an integer from 1 to 1000"),
        ({"user_id": "u", "k": -1}, "k", "an integer from 1 to 1000"),
        ({"user_id": "u", "k": 1001}, "k", "an integer from 1 to 1000"),
        ({"user_id": "u", "k": 10**400}, "k", "an integer from 1 to 1000"),
        ({"user_id": "u", "k": "3"}, "k", "Expected `int`, got `str`"),
        ({"user_id": "u", "interests": ["chess"]}, "interests", "there are art, cats, größe"),
        ({"user_id": "u", "interests": ["art"] * 10_001}, "interests", "at most 10000 names"),
        ({"user_id": "u", "exclude": "p1"}, "exclude", "a list of at most 10000 pin ids"),
        ({"user_id": "u", "exclude": ["p"] * 10_001}, "exclude", "at most 10000 pin ids"),
        ({"user_id": "u", "history": [{"pin_id": "p1"}]}, "history[0].action", "history must be"),
        ({"user_id": "u", "conditions": ["art"]}, "conditions", "trained without conditions"),
        ({"user_id": "u", "conditions": ["art"] * 17}, "conditions", "a list of at most 16 names"),
        ({"user_id": "u", "features": {"size": 1}}, "features.size", "there are activity, age"),
        ({"user_id": "u", "features": {"taste": [1]}}, "features.taste", "2 float32 numbers"),
        ({"user_id": "u", "features": {"age": 18}}, "features.age", "it must be a string"),
    ],
)
def test_a_wrong_field_is_named(
    api: httpx.Client, request_: dict[str, Any], field: str, message: str
) -> None:
    refused(api.post(PATH, json=request_), 400, field, message)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"", "body", 'is empty; POST a JSON object such as {"user_id": "1"}'),
        (b"{", "body", "Input data was truncated; it must be a JSON object"),
        (b'{"user_id": "u"', "body", "Input data was truncated; it must be a JSON object"),
        (b'{"user_id": "u"}}', "body", "JSON is malformed"),
        (b"user_id=u", "body", "JSON is malformed"),
        (b'["u"]', "body", "must be a JSON object"),
        (b'\xef\xbb\xbf{"user_id": "u"}', "body", "JSON is malformed"),
        ('{"user_id": "u"}'.encode("utf-16"), "body", "JSON is malformed"),
        (b'{"user_id": "\xff"}', "body", "is not UTF-8"),
        (b'{"user_id": "\\ud800"}', "body", "it must be a JSON object"),
        (b"[" * 500_000, "body", "must be a JSON object"),
        (b'{"user_id": "u", "features": {"age": ' + b"[" * 400_000, "body", "is nested too deeply"),
        (b'{"user_id": "u", "x": ' + b'{"x": ' * 99_999, "x", "there are user_id, k, interests"),
        (b'{"user_id": "u", "features": {"activity": NaN}}', "body", "JSON is malformed"),
        (b'{"user_id": "u", "features": {"activity": -Infinity}}', "body", "JSON is malformed"),
        (b'{"user_id": "u", "features": {"activity": 1e400}}', "features.activity", "float32"),
        (b'{"user_id": "u", "features": {"activity": 1e39}}', "features.activity", "float32"),
        (b'{"user_id": "u", "features": {"taste": [0, 1e39]}}', "features.taste", "float32"),
        (b'{"user_id": "u", "k": 1e400}', "k", "an integer from 1 to 1000"),
        (b'{"user_id": "u", "k": 3, "k": 4}', "k", "is there more than once"),
        (b'{"user_id": "u", "user_id": "v"}', "user_id", "is there more than once"),
        (b'{"user_id": "u", "features": {"age": "18", "age": "25"}}', "age", "more than once"),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    api: httpx.Client, body: bytes, field: str, message: str
) -> None:
    refused(api.post(PATH, content=body, headers=JSON), 400, field, message)


def test_a_large_body_is_refused_by_its_size(api: httpx.Client) -> None:
    body = json.dumps({"user_id": "u" * (10 << 20)})
    message = f"at most {MAX_BODY_BYTES} are taken"
    refused(api.post(PATH, content=body, headers=JSON), 413, "body", message)


def test_a_larger_one_is_not_even_read(api: httpx.Client) -> None:
    answer = api.post(PATH, content=b"x" * (13 << 20), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "form",
    [
        {"data": {"user_id": "reader", "k": "3"}},
        {"files": {"user_id": b"reader"}},
        {"content": b'{"user_id": "reader"}', "headers": FORM},  # what curl -d says by itself
        {"content": b"", "headers": FORM},
    ],
)
def test_a_form_is_told_what_to_send(api: httpx.Client, form: dict[str, Any]) -> None:
    message = "send a JSON object with Content-Type: application/json"
    refused(api.post(PATH, **form), 415, "body", message)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_method_is_told_to_post(api: httpx.Client, method: str) -> None:
    answer = api.request(method, PATH, params={"user_id": "reader"})
    refused(answer, 400, "body", "POST a JSON object")


def test_hostile_names_are_not_repeated_at_length(api: httpx.Client) -> None:
    long = "\x7f" * (1 << 19)
    for request_ in (
        {"user_id": "u", "interests": [long]},
        {"user_id": "u", "features": {long: 1}},
        {"user_id": "u", "history": [{"pin_id": "p", "action": "a", long: 1}]},
        {"user_id": "u", long: 1},
    ):
        answer = api.post(PATH, json=request_)
        assert answer.status_code == 400
        assert len(answer.content) < 4096


def test_bad_requests_are_counted(api: httpx.Client, serving: LocalServing) -> None:
    def counts() -> list[float]:
        url = serving.state.metrics_urls["handler"]
        name = "homefeed_retrieval_requests_total"
        return [metric(url, name, outcome=outcome) for outcome in ("invalid", "ok", "degraded")]

    before = counts()
    api.post(PATH, content=b"{", headers=JSON)
    api.get(PATH)
    api.post(PATH, json={"user_id": "reader"})
    changes = [after - earlier for after, earlier in zip(counts(), before, strict=True)]
    assert changes == [2, 1, 0]


def test_a_broken_connection_is_no_harm(serving: LocalServing) -> None:
    host, _, port = serving.state.url.removeprefix("http://").partition(":")
    for text in (
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"POST /predictions/homefeed HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
        b'POST /predictions/homefeed HTTP/1.1\r\nContent-Length: 16\r\n\r\n{"user_id": "u"}',
    ):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(text)

"""Requests at once: while the worker is stopped they gather, and go on as batches."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from serving.client import ClientRequest, HomefeedClient, UnavailableError
from serving.client.client import PATH
from serving.client.openapi import ServerError
from serving.local import LocalServing
from serving.torchserve.config import ServerSettings
from serving.torchserve.protocol import HistoryEntry, Recommendations
from tests.serving.asking import describe, num_waiting
from tests.serving.observing import metric, wait_until
from tests.serving.small_release import INTERESTS, SETTINGS, SmallRelease


@contextmanager
def stopped_worker(serving: LocalServing) -> Iterator[None]:
    (worker,) = describe(serving)["workers"]
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker["pid"], signal.SIGCONT)


@contextmanager
def gathered(
    serving: LocalServing, requests: Sequence[dict[str, Any]], num_queued: int
) -> Iterator[list[Future[httpx.Response]]]:
    """Sends requests at once to a stopped worker; the context is entered when some are queued."""
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=serving.state.url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(len(requests)) as threads,
        stopped_worker(serving),
    ):
        answers = [threads.submit(client.post, PATH, json=request) for request in requests]
        wait_until(
            lambda: num_waiting(serving) >= num_queued,
            f"{num_queued} requests in the queue",
        )
        yield answers


def batches(serving: LocalServing) -> list[float]:
    """How many batches there were, and requests in them."""
    url = serving.state.metrics_urls["handler"]
    name = "homefeed_retrieval_batch_size"
    return [metric(url, f"{name}_count"), metric(url, f"{name}_sum")]


def test_a_batch_gives_each_request_its_own_answer(
    serving: LocalServing, small_release: SmallRelease
) -> None:
    requests: list[dict[str, Any]] = []
    for row in range(33):
        history = [{"pin_id": f"p{row}", "action": "click"}]
        k = 0 if row % 4 == 3 else row + 1
        interests = [INTERESTS[row % 3]] if row % 2 else []
        requests.append({"user_id": f"u{row}", "k": k, "history": history, "interests": interests})
    before = batches(serving)
    # The worker has up to a batch of them already.
    with gathered(serving, requests, len(requests) - SETTINGS.batch_size) as pending:
        pass
    for row, (request, future) in enumerate(zip(requests, pending, strict=True)):
        answer = future.result()
        if request["k"] == 0:
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, "k")
            continue
        assert answer.status_code == 200
        expected = small_release.best(
            [f"p{row}"], request["k"], interests=request["interests"], exclude=[f"p{row}"]
        )
        assert [pin["pin_id"] for pin in answer.json()["pins"]] == expected
    num_batches, num_requests = (
        after - earlier for after, earlier in zip(batches(serving), before, strict=True)
    )
    assert num_requests == len(requests)
    assert num_batches < num_requests


def test_many_requests_of_a_client_share_batches(
    serving: LocalServing, small_release: SmallRelease
) -> None:
    pins = [f"p{row}" for row in range(SETTINGS.batch_size + 8)]
    requests: list[ClientRequest] = [
        {"user_id": pin, "k": 5, "history": [HistoryEntry(pin, "click")]} for pin in pins
    ]
    before = batches(serving)
    with (
        HomefeedClient(serving.state.url, timeout_seconds=60) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        with stopped_worker(serving):
            answered = thread.submit(client.recommend_many, requests, concurrency=len(requests))
            wait_until(lambda: num_waiting(serving) >= 8, "requests in the queue")
        answers = answered.result()
    for pin, answer in zip(pins, answers, strict=True):
        assert isinstance(answer, Recommendations), answer
        assert [each.pin_id for each in answer.pins] == small_release.best([pin], 5, exclude=[pin])
    num_batches, num_requests = (
        after - earlier for after, earlier in zip(batches(serving), before, strict=True)
    )
    assert num_requests == len(requests)
    assert num_batches < num_requests


def test_more_than_can_wait_are_refused_at_once(serving: LocalServing) -> None:
    max_waiting = ServerSettings().max_queued
    requests = [{"user_id": "reader", "k": 1}] * (max_waiting + SETTINGS.batch_size + 5)

    def counted() -> list[float]:
        url = serving.state.metrics_urls["torchserve"]
        # Prometheus calls it Requests5XX; the parser of the tests gives every counter this end.
        names = ("ts_inference_requests_total", "Requests5XX_total")
        return [metric(url, name) for name in names]

    before = counted()
    with gathered(serving, requests, max_waiting) as pending:
        wait_until(lambda: sum(future.done() for future in pending) >= 5, "five refusals")
        refused = [future.result() for future in pending if future.done()]
        with (
            HomefeedClient(serving.state.url, timeout_seconds=60, num_retries=1) as client,
            pytest.raises(UnavailableError) as caught,
        ):
            client.recommend("reader")
    assert {answer.status_code for answer in refused} == {503}
    bodies = [msgspec.json.decode(answer.content, type=ServerError) for answer in refused]
    assert {body.code for body in bodies} == {503}
    assert not any("retry-after" in answer.headers for answer in refused)  # as docs/api.md says
    assert caught.value.status == 503
    answered = [future.result().status_code for future in pending]
    assert set(answered) == {200, 503}
    assert answered.count(200) >= max_waiting
    # What the chart's alerts go by: all that came, and what of it failed. The client asked twice.
    received, failed = (after - earlier for after, earlier in zip(counted(), before, strict=True))
    assert received == len(requests) + 2
    assert failed == answered.count(503) + 2

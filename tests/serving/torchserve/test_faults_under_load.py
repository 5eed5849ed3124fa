"""Two workers and a sidecar that are killed or stopped while callers ask without a break."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from serving.client import HomefeedClient
from serving.local import LocalServing
from serving.torchserve.circuit_breaker import MAX_LATE
from serving.torchserve.protocol import HistoryEntry, Recommendations
from serving.torchserve.settings import HandlerSettings, ModelSettings
from tests.serving.asking import describe, num_waiting
from tests.serving.load import NUM_CALLERS, load
from tests.serving.observing import metric, wait_until
from tests.serving.sidecar_process import running
from tests.serving.small_release import INTERESTS, SmallRelease, with_settings

NUM_WORKERS = 2
PAUSE_SECONDS = 0.5
SETTINGS = ModelSettings(
    min_workers=NUM_WORKERS,
    max_workers=NUM_WORKERS,
    response_timeout=60,
    handler=HandlerSettings(sidecar_deadline_seconds=1.0, sidecar_pause_seconds=PAUSE_SECONDS),
)
K = 10
NUM_REQUESTS = 12


class Answer(NamedTuple):
    """What a caller got for the request of a number."""

    number: int
    recommendations: Recommendations

    @property
    def degraded(self) -> bool:
        return self.recommendations.degraded

    @property
    def pin_ids(self) -> list[str]:
        return [pin.pin_id for pin in self.recommendations.pins]


@pytest.fixture(scope="module")
def serving(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServing]:
    folder = tmp_path_factory.mktemp("faults")
    release = with_settings(small_release.folder, folder / "release", SETTINGS)
    with LocalServing(release, folder / "work") as started:
        yield started


@pytest.fixture(scope="module")
def client(serving: LocalServing) -> Iterator[HomefeedClient]:
    with HomefeedClient(serving.state.url, timeout_seconds=60) as client:
        yield client


@pytest.fixture(scope="module")
def ask(client: HomefeedClient) -> Callable[[int], Answer]:
    def ask(number: int) -> Answer:
        history = [HistoryEntry(f"p{number % NUM_REQUESTS}", "click")]
        return Answer(
            number,
            client.recommend("u", k=K, interests=interests_of(number), history=history),
        )

    return ask


def interests_of(number: int) -> Sequence[str]:
    return [INTERESTS[number % len(INTERESTS)]] if number % 2 else []


@pytest.fixture(scope="module")
def check(small_release: SmallRelease) -> Callable[[Sequence[Answer]], None]:
    """Sees that answers are right by brute force, or flagged and the most popular pins."""

    def expected(number: int, degraded: bool) -> list[str]:
        history, interests = [f"p{number % NUM_REQUESTS}"], interests_of(number)
        if degraded:
            return small_release.popular(K, *interests, exclude=history)
        return small_release.best(history, K, interests=interests, exclude=history)

    def check(answers: Sequence[Answer]) -> None:
        for answer in answers:
            assert answer.pin_ids == expected(answer.number, answer.degraded)
            assert (answer.recommendations.index_version is None) == answer.degraded

    return check


def num_right(answers: Sequence[Answer]) -> int:
    return sum(not answer.degraded for answer in answers)


def has_recovered(ask: Callable[[int], Answer]) -> bool:
    """Whether callers at once get nothing but right answers from all workers."""
    with ThreadPoolExecutor(NUM_CALLERS) as threads:
        answers = list(threads.map(ask, range(10 * NUM_CALLERS)))
    return num_right(answers) == len(answers)


def failures(serving: LocalServing, reason: str) -> float:
    url = serving.state.metrics_urls["handler"]
    return metric(url, "homefeed_retrieval_sidecar_failures_total", reason=reason)


def test_a_stopped_sidecar_costs_a_deadline_now_and_then(
    serving: LocalServing,
    ask: Callable[[int], Answer],
    check: Callable[[Sequence[Answer]], None],
) -> None:
    wait_until(lambda: has_recovered(ask), "right answers")
    before = failures(serving, "late")
    sidecar = serving.state.pids["sidecar"]
    with load(ask) as answers:
        wait_until(lambda: num_right(answers) > 100, "right answers under load")
        started = time.monotonic()
        os.kill(sidecar, signal.SIGSTOP)
        try:
            wait_until(lambda: failures(serving, "paused") > 0, "a pause")
            wait_until(lambda: len(answers) - num_right(answers) > 200, "popular pins")
            stopped = len(answers)
            wait_until(lambda: len(answers) > stopped + 200, "more of them")
        finally:
            os.kill(sidecar, signal.SIGCONT)
        num_pauses = (time.monotonic() - started) / PAUSE_SECONDS
        late = failures(serving, "late") - before
        right = num_right(answers)
        wait_until(lambda: num_right(answers) > right + 100, "right answers again")
    check(answers)
    assert late <= NUM_WORKERS * (MAX_LATE + num_pauses)
    assert all(answer.degraded for answer in answers[stopped : stopped + 200])
    wait_until(lambda: has_recovered(ask), "nothing but right answers again")


def test_callers_do_not_notice_that_a_worker_is_killed(
    serving: LocalServing,
    client: HomefeedClient,
    ask: Callable[[int], Answer],
    check: Callable[[Sequence[Answer]], None],
) -> None:
    def num_failed() -> float:
        # Prometheus calls it Requests5XX; the parser of the tests gives every counter this end.
        return metric(serving.state.metrics_urls["torchserve"], "Requests5XX_total")

    before = num_failed()
    killed, other = (worker["pid"] for worker in describe(serving)["workers"])
    # Stopped, each worker keeps one batch, so that one surely dies over some requests.
    num_sent = NUM_WORKERS * SETTINGS.batch_size + NUM_CALLERS
    with ThreadPoolExecutor(num_sent) as threads:
        for pid in (killed, other):
            os.kill(pid, signal.SIGSTOP)
        try:
            pending = [threads.submit(ask, number) for number in range(num_sent)]
            wait_until(
                lambda: num_waiting(serving) >= NUM_CALLERS,
                "requests in the queue behind both workers",
            )
            os.kill(killed, signal.SIGKILL)
        finally:
            os.kill(other, signal.SIGCONT)
    check([future.result() for future in pending])
    # It had taken one batch, and nobody else's request failed.
    assert 1 <= num_failed() - before <= SETTINGS.batch_size

    def is_replaced() -> bool:
        workers = describe(serving)["workers"]
        return all(each["status"] == "READY" and each["pid"] != killed for each in workers)

    with load(ask) as answers:
        wait_until(is_replaced, "a new worker")
        replaced = len(answers)
        wait_until(lambda: len(answers) > replaced + 100, "answers of both")
    check(answers)
    wait_until(lambda: has_recovered(ask), "nothing but right answers again")


def test_a_killed_sidecar_degrades_answers_until_it_is_back(
    serving: LocalServing,
    small_release: SmallRelease,
    ask: Callable[[int], Answer],
    check: Callable[[Sequence[Answer]], None],
) -> None:
    with load(ask) as answers:
        wait_until(lambda: num_right(answers) > 100, "right answers under load")
        os.kill(serving.state.pids["sidecar"], signal.SIGKILL)
        wait_until(lambda: len(answers) - num_right(answers) > 200, "popular pins")
        for _ in range(2):  # which kills it again
            with running(small_release.folder, Path(serving.state.socket)):
                wait_until(lambda: has_recovered(ask), "nothing but right answers again")
    check(answers)

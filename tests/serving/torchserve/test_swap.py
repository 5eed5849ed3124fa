"""Releases that change under the workers: no answer fails, is degraded, or is of two of them."""

import itertools
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.client.client import PATH
from serving.local import LocalServing
from serving.release_folder import ReleaseFolder
from serving.torchserve.metrics import Metrics
from serving.torchserve.protocol import Recommendations
from serving.torchserve.retriever import Retriever
from serving.torchserve.sidecar_client import SidecarClient
from tests.serving.asking import ask, describe, pin_ids
from tests.serving.index_sidecar.test_swap import flip_a_bit
from tests.serving.observing import wait_until
from tests.serving.refreshes import build_refreshes, place
from tests.serving.sidecar_process import Sidecar, running
from tests.serving.small_release import SmallRelease

NUM_SWAPS = 100
NUM_CALLERS = 4
REQUESTS: tuple[dict[str, Any], ...] = (
    {"user_id": "reader", "k": 10},
    {"user_id": "reader", "k": 5, "interests": ["cats"]},
    {"user_id": "lurker", "k": 8},
    {"user_id": "nobody", "k": 20, "exclude": ["p7", "p8"]},
)


def expected(release: SmallRelease) -> tuple[list[str], ...]:
    """The pins of `REQUESTS`, by brute force."""
    reader = release.reader
    return (
        release.best(reader, 10, "18", exclude=reader),
        release.best(reader, 5, "18", interests=["cats"], exclude=reader),
        release.best([], 8, "25"),
        release.best([], 20, exclude=["p7", "p8"]),
    )


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[SmallRelease]:
    return build_refreshes(tmp_path_factory.mktemp("refreshes"), 5)


def test_the_answers_of_the_releases_differ(releases: list[SmallRelease]) -> None:
    for one, other in itertools.combinations(map(expected, releases), 2):
        assert all(ours != theirs for ours, theirs in zip(one, other, strict=True))


class Callers:
    """Threads that ask without pause; each answer is held against the release that it names."""

    def __init__(self, url: str, releases: Sequence[SmallRelease]) -> None:
        self._url = url
        self._expected = {release.version: expected(release) for release in releases}
        self._ended = threading.Event()
        self.num_answers = 0
        self.last_version = ""
        self.wrong: list[Any] = []

    def __enter__(self) -> "Callers":
        self._threads = ThreadPoolExecutor(NUM_CALLERS)
        self._asking = [self._threads.submit(self._ask, number) for number in range(NUM_CALLERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._threads.shutdown()
        for each in self._asking:
            each.result()

    def _ask(self, caller: int) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            for turn in itertools.count(caller):
                if self._ended.is_set():
                    return
                place = turn % len(REQUESTS)
                answer = client.post(PATH, json=REQUESTS[place])
                if answer.status_code != 200 or not self._is_right(place, answer.json()):
                    self.wrong.append((answer.status_code, place, answer.text))
                self.num_answers += 1

    def _is_right(self, place: int, body: dict[str, Any]) -> bool:
        version = body["model_version"]
        self.last_version = version
        return (
            not body["degraded"]
            and body["index_version"] == version
            and pin_ids(body) == self._expected[version][place]
        )


@pytest.fixture(scope="module")
def pod(
    releases: list[SmallRelease], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReleaseFolder]:
    yield place(releases, tmp_path_factory.mktemp("pod"))


@pytest.fixture(scope="module")
def serving(pod: ReleaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServing]:
    with LocalServing(pod.link, tmp_path_factory.mktemp("work")) as started:
        yield started


@pytest.mark.slow
def test_a_hundred_swaps_under_load(
    serving: LocalServing, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    versions = [release.version for release in releases]
    with Callers(serving.state.url, releases) as callers:
        for number in range(1, NUM_SWAPS + 1):
            version = versions[number % len(versions)]
            pod.switch(version)
            wait_until(
                lambda version=version: callers.last_version == version, f"answers of {version}"
            )
            assert callers.wrong == []
    assert callers.wrong == []
    assert callers.num_answers > NUM_SWAPS


@pytest.mark.slow
def test_swaps_that_come_faster_than_workers_follow(
    serving: LocalServing, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    def current() -> str:
        return httpx.get(serving.state.readiness_url).json()["index_version"]

    with Callers(serving.state.url, releases) as callers:
        for release in releases * 3:
            pod.switch(release.version)
            wait_until(lambda release=release: current() == release.version, "the sidecar's swap")
    assert callers.wrong == []


@pytest.mark.slow
def test_a_worker_that_is_replaced_answers_from_the_current_release(
    serving: LocalServing, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    last = releases[-2]
    with httpx.Client(base_url=serving.state.url, timeout=60) as api:
        pod.switch(last.version)
        wait_until(lambda: ask(api, **REQUESTS[0])["model_version"] == last.version, "the swap")
        pod.keep((last.version,))  # nothing is left of the release that TorchServe started with
        (worker,) = describe(serving)["workers"]
        os.kill(worker["pid"], signal.SIGKILL)
        wait_until(lambda: api.post(PATH, json=REQUESTS[0]).status_code == 200, "an answer again")
        for request, pins in zip(REQUESTS, expected(last), strict=True):
            answer = ask(api, **request)
            assert answer["model_version"] == answer["index_version"] == last.version
            assert pin_ids(answer) == pins
            assert not answer["degraded"]


@pytest.fixture
def own_pod(releases: list[SmallRelease], tmp_path: Path) -> ReleaseFolder:
    return place(releases, tmp_path)


@pytest.fixture
def retriever(own_pod: ReleaseFolder, tmp_path: Path) -> Iterator[Retriever]:
    client = SidecarClient(tmp_path / "s.sock", 30.0)
    with closing(Retriever(own_pod.link, client, Metrics())) as retriever:
        yield retriever


def retrieve(retriever: Retriever) -> tuple[str, tuple[list[str], ...]]:
    """The version that answers `REQUESTS` as one batch, and the pins."""
    answers = retriever.retrieve([json.dumps(request).encode() for request in REQUESTS])
    versions, found = set(), []
    for answer in answers:
        assert isinstance(answer, Recommendations)
        assert not answer.degraded
        versions |= {answer.model_version, answer.index_version}
        found.append([pin.pin_id for pin in answer.pins])
    (version,) = versions
    assert version is not None
    return version, tuple(found)


def swap(sidecar: Sidecar, pod: ReleaseFolder, release: SmallRelease) -> None:
    pod.switch(release.version)

    def readiness() -> Mapping[str, Any]:
        return sidecar.operations.get("/readyz").json()

    wait_until(lambda: readiness()["index_version"] == release.version, "the sidecar's swap")


def test_a_release_is_taken_between_two_batches(
    retriever: Retriever, own_pod: ReleaseFolder, releases: list[SmallRelease], tmp_path: Path
) -> None:
    first, second = releases[:2]
    with running(own_pod.link, tmp_path / "s.sock") as sidecar:
        assert retrieve(retriever) == (first.version, expected(first))
        swap(sidecar, own_pod, second)
        # This one says that there is another, which is opened beside it.
        assert retrieve(retriever) == (first.version, expected(first))
        wait_until(lambda: retrieve(retriever)[0] == second.version, "the handler's swap")
        assert retrieve(retriever) == (second.version, expected(second))


def test_a_release_that_the_sidecar_no_longer_holds_is_left_at_once(
    retriever: Retriever, own_pod: ReleaseFolder, releases: list[SmallRelease], tmp_path: Path
) -> None:
    with running(own_pod.link, tmp_path / "s.sock") as sidecar:
        retrieve(retriever)
        for release in releases[1:]:
            swap(sidecar, own_pod, release)
        assert retrieve(retriever) == (releases[-1].version, expected(releases[-1]))
        assert sidecar.metric("homefeed_sidecar_requests_total", status="409") == 1


def test_a_sidecar_that_is_restarted_within_a_swap_costs_no_answer(
    retriever: Retriever, own_pod: ReleaseFolder, releases: list[SmallRelease], tmp_path: Path
) -> None:
    first, second = releases[:2]
    with running(own_pod.link, tmp_path / "s.sock"):
        assert retrieve(retriever) == (first.version, expected(first))
        own_pod.switch(second.version)
    with running(own_pod.link, tmp_path / "s.sock"):
        assert retrieve(retriever) == (second.version, expected(second))


def test_a_worker_that_starts_with_a_release_that_the_sidecar_refused_goes_back(
    own_pod: ReleaseFolder, releases: list[SmallRelease], tmp_path: Path
) -> None:
    first, second = releases[:2]
    flip_a_bit(own_pod.of(second.version))
    with running(own_pod.link, tmp_path / "s.sock") as sidecar:
        own_pod.switch(second.version)
        refused = "homefeed_sidecar_refused_releases_total"
        wait_until(lambda: sidecar.metric(refused), "the sidecar's refusal")
        client = SidecarClient(tmp_path / "s.sock", 30.0)
        with closing(Retriever(own_pod.link, client, Metrics())) as retriever:
            assert retrieve(retriever) == (first.version, expected(first))


def test_a_release_that_a_worker_cannot_open_is_left_aside_until_it_can(
    retriever: Retriever,
    own_pod: ReleaseFolder,
    releases: list[SmallRelease],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = releases[:2]
    popular = own_pod.of(second.version) / "popular.json"
    away = tmp_path / "popular.json"
    with running(own_pod.link, tmp_path / "s.sock") as sidecar, caplog.at_level(logging.WARNING):
        swap(sidecar, own_pod, second)
        popular.rename(away)
        for _ in range(3):
            # It is the first one's: the retriever was opened before the swap.
            assert retrieve(retriever) == (first.version, expected(first))
        wait_until(lambda: retrieve(retriever) and caplog.records, "it is told")
        away.rename(popular)
        wait_until(lambda: retrieve(retriever)[0] == second.version, "the handler's swap")
        assert retrieve(retriever) == (second.version, expected(second))
    (record,) = caplog.records
    assert f"release {second.version} is not served" in record.getMessage()

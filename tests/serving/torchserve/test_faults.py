"""Two workers whose processes, and whose sidecar, are killed."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest

from serving.client.client import PATH
from serving.local import LocalServing
from tests.serving.asking import ask, describe, num_waiting, pin_ids
from tests.serving.observing import metric, wait_until
from tests.serving.sidecar_process import running
from tests.serving.small_release import (
    READER,
    SETTINGS,
    SmallRelease,
    build_small_release,
    with_settings,
)

NUM_WORKERS = 2


@pytest.fixture(scope="module")
def serving(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServing]:
    folder = tmp_path_factory.mktemp("two_workers")
    settings = msgspec.structs.replace(SETTINGS, min_workers=NUM_WORKERS, max_workers=NUM_WORKERS)
    release = with_settings(small_release.folder, folder / "release", settings)
    with LocalServing(release, folder / "work") as started:
        yield started


@pytest.fixture(scope="module")
def api(serving: LocalServing) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.state.url, timeout=60) as client:
        yield client


def worker_pids(serving: LocalServing) -> list[int]:
    return [worker["pid"] for worker in describe(serving)["workers"]]


def test_metrics_are_the_sum_over_the_workers(api: httpx.Client, serving: LocalServing) -> None:
    def num_requests() -> float:
        url = serving.state.metrics_urls["handler"]
        return metric(url, "homefeed_retrieval_requests_total", outcome="ok")

    before = num_requests()
    workers = worker_pids(serving)
    assert len(workers) == NUM_WORKERS
    # Stopped, each worker keeps one batch, so that both have a share in what is left.
    in_batches = NUM_WORKERS * SETTINGS.batch_size
    num_sent = in_batches + 8
    with ThreadPoolExecutor(num_sent) as threads:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            answers = [
                threads.submit(api.post, PATH, json={"user_id": "reader"}) for _ in range(num_sent)
            ]
            wait_until(
                lambda: num_waiting(serving) >= 8,
                "requests in the queue behind both workers",
            )
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
    assert {future.result().status_code for future in answers} == {200}
    # The kernel picks the worker that answers, anew for each connection.
    assert {num_requests() for _ in range(10)} == {before + num_sent}


def test_killed_workers_are_replaced_and_take_no_metrics_with_them(
    api: httpx.Client, serving: LocalServing, small_release: SmallRelease
) -> None:
    url = serving.state.metrics_urls["handler"]
    ask(api, user_id="reader")
    before = metric(url, "homefeed_retrieval_requests_total", outcome="ok")
    killed = worker_pids(serving)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    # A request on its way to a killed worker fails; those after it wait for the next worker.
    wait_until(
        lambda: api.post(PATH, json={"user_id": "reader"}).status_code == 200, "an answer again"
    )
    wait_until(
        lambda: all(
            worker["status"] == "READY" and worker["pid"] not in killed
            for worker in describe(serving)["workers"]
        ),
        "new workers",
    )
    answer = ask(api, user_id="reader", k=20)
    assert pin_ids(answer) == small_release.best(READER, 20, age="18", exclude=READER)
    after = metric(url, "homefeed_retrieval_requests_total", outcome="ok")
    assert after == before + 2


def test_popular_pins_stand_in_for_the_sidecar(
    api: httpx.Client,
    serving: LocalServing,
    small_release: SmallRelease,
    tmp_path: Path,
) -> None:
    def failures(reason: str) -> float:
        url = serving.state.metrics_urls["handler"]
        return metric(url, "homefeed_retrieval_sidecar_failures_total", reason=reason)

    def degraded() -> float:
        url = serving.state.metrics_urls["handler"]
        return metric(url, "homefeed_retrieval_requests_total", outcome="degraded")

    socket_path = Path(serving.state.socket)
    assert (failures("unreachable"), degraded()) == (0, 0)
    os.kill(serving.state.pids["sidecar"], signal.SIGKILL)
    with pytest.raises(RuntimeError, match="sidecar ended with exit code -9"):
        serving.wait()
    answer = ask(api, user_id="reader", k=10)
    assert pin_ids(answer) == small_release.popular(10, exclude=READER)
    assert {(pin["score"], pin["source"]) for pin in answer["pins"]} == {(None, "popular")}
    assert (answer["degraded"], answer["index_version"]) == (True, None)
    assert not answer["cold_start"]
    filtered = ask(api, user_id="nobody", k=10, interests=["art"], exclude=["p3", "p6", "p12"])
    assert pin_ids(filtered) == small_release.popular(10, "art", exclude=["p3", "p6", "p12"])
    assert (filtered["degraded"], filtered["cold_start"]) == (True, True)
    both = ask(api, user_id="nobody", k=50, interests=["art", "größe"], exclude=["p3"])
    assert len(both["pins"]) == 50
    assert all({"art", "größe"} & small_release.interests_of(pin) for pin in pin_ids(both))
    assert "p3" not in pin_ids(both)
    assert api.post(PATH, json={"user_id": "u", "k": 0}).status_code == 400
    assert (failures("unreachable"), degraded()) == (3, 3)

    other = build_small_release(tmp_path, space="space-b").folder
    with running(other, socket_path):
        answer = ask(api, user_id="reader", k=10)
        assert pin_ids(answer) == small_release.popular(10, exclude=READER)
        assert answer["degraded"]
        assert failures("other_embedding_space") == 1

    with running(small_release.folder, socket_path):
        answer = ask(api, user_id="reader", k=10)
        assert pin_ids(answer) == small_release.best(READER, 10, age="18", exclude=READER)
        assert not answer["degraded"]
    assert degraded() == 4

"""The retriever without TorchServe, with a real sidecar beside it."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from homefeed.release.bundle import PREPARED_USERS_FILE
from serving.torchserve.metrics import Metrics
from serving.torchserve.protocol import Recommendations
from serving.torchserve.request import MAX_BODY_BYTES, InvalidRequest
from serving.torchserve.retriever import Answer, Retriever
from serving.torchserve.sidecar_client import SidecarClient
from tests.serving.sidecar_process import running
from tests.serving.small_release import COPY, READER, SmallRelease, sign_release


@pytest.fixture(scope="module")
def socket_path(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The socket of a sidecar that serves the small release."""
    path = tmp_path_factory.mktemp("sidecar") / "s.sock"
    with running(small_release.folder, path):
        yield path


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def opened(release: SmallRelease, socket_path: Path, metrics: Metrics) -> closing[Retriever]:
    return closing(Retriever(release.folder, SidecarClient(socket_path, 30.0), metrics))


@pytest.fixture
def retriever(
    small_release: SmallRelease, socket_path: Path, metrics: Metrics
) -> Iterator[Retriever]:
    with opened(small_release, socket_path, metrics) as retriever:
        yield retriever


@pytest.fixture
def lone_retriever(
    small_release: SmallRelease, tmp_path: Path, metrics: Metrics
) -> Iterator[Retriever]:
    """A retriever whose sidecar does not run."""
    with opened(small_release, tmp_path / "s.sock", metrics) as retriever:
        yield retriever


def body(user_id: str = "reader", **request: Any) -> bytes:
    return json.dumps({"user_id": user_id, **request}).encode()


def pin_ids(answer: Answer) -> list[str]:
    assert isinstance(answer, Recommendations)
    return [pin.pin_id for pin in answer.pins]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"homefeed_retrieval_{name}", labels)


def test_a_batch_is_answered_in_order(
    retriever: Retriever, small_release: SmallRelease, metrics: Metrics
) -> None:
    answers = retriever.retrieve(
        [body(k=3), None, body("nobody", k=4), b"{", body("lurker", k=5), body(k=0)]
    )
    assert pin_ids(answers[0]) == small_release.best(READER, 3, age="18", exclude=READER)
    assert pin_ids(answers[2]) == small_release.best([], 4)
    assert pin_ids(answers[4]) == small_release.best([], 5, age="25")
    refused = [answer.status for answer in answers if isinstance(answer, InvalidRequest)]
    assert refused == [415, 400, 400]
    assert value(metrics, "requests_total", outcome="ok") == 3
    assert value(metrics, "requests_total", outcome="invalid") == 3
    assert value(metrics, "cold_starts_total") == 1
    assert value(metrics, "batch_size_sum") == 6
    assert value(metrics, "stage_seconds_count", stage="tower") == 1


def test_a_batch_of_nothing_valid_does_not_ask_the_sidecar(
    lone_retriever: Retriever, metrics: Metrics
) -> None:
    answers = lone_retriever.retrieve([None, b""])
    assert all(isinstance(answer, InvalidRequest) for answer in answers)
    assert value(metrics, "sidecar_failures_total", reason="unreachable") == 0


def test_a_user_without_a_vector_costs_the_neighbours_nothing(
    retriever: Retriever, small_release: SmallRelease, metrics: Metrics
) -> None:
    # Each number fits float32; their sum does not.
    overflow = {"activity": 3e38, "taste": [3e38, 3e38]}
    answers = retriever.retrieve(
        [body(k=3), body(k=3, features=overflow, interests=["cats"]), body("lurker", k=3)]
    )
    assert pin_ids(answers[0]) == small_release.best(READER, 3, age="18", exclude=READER)
    assert pin_ids(answers[1]) == small_release.popular(3, "cats", exclude=READER)
    assert pin_ids(answers[2]) == small_release.best([], 3, age="25")
    assert value(metrics, "requests_total", outcome="degraded") == 1
    alone = retriever.retrieve([body(k=2, features=overflow)])
    assert pin_ids(alone[0]) == small_release.popular(2, exclude=READER)


def test_an_earlier_release_is_answered_alike(
    retriever: Retriever, small_release: SmallRelease, socket_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "earlier"
    shutil.copytree(small_release.folder, folder)
    (folder / PREPARED_USERS_FILE).unlink()
    sign_release(folder)
    history = [{"pin_id": "p9", "action": "save"}, {"pin_id": "p8", "action": "click"}]
    bodies = [
        body(k=40),
        body(k=40, exclude=["p4", COPY]),
        body(k=40, history=history),
        body(k=40, include_seen=True),
        body("lurker", k=40),
        body("nobody", k=40),
    ]
    earlier = small_release._replace(folder=folder)
    with opened(earlier, socket_path, Metrics()) as other:
        assert other.retrieve(bodies) == retriever.retrieve(bodies)


def test_a_batch_of_the_largest_requests_is_answered(
    retriever: Retriever, small_release: SmallRelease
) -> None:
    excluded = [f"{'x' * 95}{row:05}" for row in range(10_000)]
    largest = body(k=3, exclude=excluded)
    assert 0.9 * MAX_BODY_BYTES < len(largest) <= MAX_BODY_BYTES
    answers = retriever.retrieve([largest] * 15 + [body("lurker", k=3)])
    assert pin_ids(answers[-1]) == small_release.best([], 3, age="25")
    best = small_release.best(READER, 3, age="18", exclude=READER)
    assert [pin_ids(answer) for answer in answers[:-1]] == [best] * 15


def test_repeated_interests_are_one_without_the_sidecar(
    lone_retriever: Retriever, small_release: SmallRelease
) -> None:
    answers = lone_retriever.retrieve([body(k=300, interests=["art", "cats"] * 5000)])
    expected = {*small_release.popular(300, "art"), *small_release.popular(300, "cats")}
    assert set(pin_ids(answers[0])) == expected - set(READER)


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    lone_retriever: Retriever,
    small_release: SmallRelease,
    tmp_path: Path,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            (answer,) = lone_retriever.retrieve([body()])
            assert isinstance(answer, Recommendations)
            assert answer.degraded
        with running(small_release.folder, tmp_path / "s.sock"):
            for _ in range(2):
                (answer,) = lone_retriever.retrieve([body()])
                assert isinstance(answer, Recommendations)
                assert not answer.degraded
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "no search, popular pins stand in",
        "the sidecar answers again",
    ]
    assert value(metrics, "sidecar_failures_total", reason="unreachable") == 3


def test_warming_up_counts_nothing(retriever: Retriever, metrics: Metrics) -> None:
    retriever.warm_up(3)
    assert value(metrics, "batch_size_count") == 0
    assert value(metrics, "stage_seconds_count", stage="tower") == 0


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path, metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="holds no manifest.json"):
        Retriever(tmp_path, SidecarClient(tmp_path / "s.sock", 1.0), metrics)

"""TorchServe beside a real Redis, which is ended, stalled and started anew."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from homefeed.features.encoder import HistoryItem
from homefeed.features.users import UserRecord
from homefeed.release.materialise import materialise_users
from homefeed.release.redis_connection import DEFAULT_PREFIX, PASSWORD_VARIABLE
from serving.local import LocalServing
from serving.torchserve.settings import RedisSettings
from tests.redis_server import PASSWORD, RedisServer
from tests.serving.asking import ask, pin_ids
from tests.serving.load import load
from tests.serving.observing import metric, wait_until
from tests.serving.small_release import READER, SETTINGS, SmallRelease, with_settings

FRESH = ("p7", "p5")
DAY = 86_400


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that wants a password, and is not started yet."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), PASSWORD)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def serving(
    redis: RedisServer, small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServing]:
    folder = tmp_path_factory.mktemp("with redis")
    settings = RedisSettings(url=redis.url, deadline_seconds=2.0, max_age_seconds=DAY)
    handler = msgspec.structs.replace(SETTINGS.handler, redis=settings)
    settings = msgspec.structs.replace(SETTINGS, handler=handler)
    release = with_settings(small_release.folder, folder / "release", settings)
    with pytest.MonkeyPatch.context() as variables, ExitStack() as stack:
        variables.setenv(PASSWORD_VARIABLE, PASSWORD)
        yield stack.enter_context(LocalServing(release, folder / "work"))


@pytest.fixture(scope="module")
def api(serving: LocalServing) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.state.url, timeout=60) as client:
        yield client


def put(redis: RedisServer, user_id: str, as_of: float, **features: Any) -> None:
    whole = {"age": "25", "followed_interests": None, "activity": 0.0, "taste": None} | features
    history = tuple(HistoryItem(pin, "click", 5) for pin in FRESH)
    record = UserRecord(whole, history, FRESH, as_of=int(as_of))
    redis.client.set(f"{DEFAULT_PREFIX}{user_id}", msgspec.msgpack.encode(record))


@contextmanager
def counted(serving: LocalServing, name: str, **labels: str) -> Iterator[None]:
    """What happens within is counted there."""
    url = serving.state.metrics_urls["handler"]
    before = metric(url, f"homefeed_retrieval_{name}_total", **labels)
    yield
    assert metric(url, f"homefeed_retrieval_{name}_total", **labels) > before


def test_redis_comes_goes_stalls_and_comes_back(
    api: httpx.Client, serving: LocalServing, redis: RedisServer, small_release: SmallRelease
) -> None:
    from_snapshot = small_release.best(READER, 10, age="18", exclude=READER)
    from_redis = small_release.best(FRESH, 10, age="25", exclude=FRESH)
    assert from_snapshot != from_redis

    def answers(source: str) -> list[str]:
        answer = ask(api, user_id="reader", k=10)
        assert (answer["degraded"], answer["cold_start"]) == (False, False)
        assert answer["user_features"] == source
        return pin_ids(answer)

    def is_fresh() -> bool:
        return ask(api, user_id="reader")["user_features"] == "fresh"

    with counted(serving, "redis_failures", reason="unreachable"):
        assert answers("snapshot") == from_snapshot
    redis.start()
    put(redis, "reader", time.time())
    with counted(serving, "users", features="fresh"):
        wait_until(is_fresh, "fresh users")
        assert answers("fresh") == from_redis
    with counted(serving, "redis_failures", reason="late"), redis.stalled():
        assert answers("snapshot") == from_snapshot
    wait_until(is_fresh, "fresh users after the stall")
    redis.stop()
    with counted(serving, "redis_failures", reason="unreachable"):
        assert answers("snapshot") == from_snapshot
    redis.start()
    put(redis, "reader", time.time())
    wait_until(is_fresh, "fresh users after the end")


def test_redis_that_stalls_under_load_costs_no_answer(
    api: httpx.Client, serving: LocalServing, redis: RedisServer, small_release: SmallRelease
) -> None:
    if redis.is_down:
        redis.start()
    wait_until(lambda: redis_answers(api, redis), "an answer from Redis")
    put(redis, "reader", time.time())
    best = {
        "fresh": small_release.best(FRESH, 10, age="25", exclude=FRESH),
        "snapshot": small_release.best(READER, 10, age="18", exclude=READER),
    }

    def num_paused() -> float:
        url = serving.state.metrics_urls["handler"]
        return metric(url, "homefeed_retrieval_redis_failures_total", reason="paused")

    def sources(start: int, stop: int | None = None) -> set[str]:
        return {answer["user_features"] for answer in answers[start:stop]}

    with load(lambda _: ask(api, user_id="reader", k=10)) as answers:
        wait_until(lambda: sources(0) == {"fresh"} and len(answers) > 100, "fresh users")
        before = num_paused()
        with redis.stalled():
            wait_until(lambda: num_paused() > before, "a pause")
            stalled = len(answers)
            wait_until(lambda: len(answers) > stalled + 100, "answers meanwhile")
        assert sources(stalled, stalled + 100) == {"snapshot"}
        wait_until(lambda: "fresh" in sources(stalled), "fresh users after the stall")
    for answer in answers:
        assert not answer["degraded"]
        assert pin_ids(answer) == best[answer["user_features"]]


def test_stale_missing_and_broken_records_are_told_apart(
    api: httpx.Client, serving: LocalServing, redis: RedisServer, small_release: SmallRelease
) -> None:
    if redis.is_down:
        redis.start()
    wait_until(lambda: redis_answers(api, redis), "an answer from Redis")
    put(redis, "stale", time.time() - 2 * DAY)
    put(redis, "broken", time.time(), activity="much")
    redis.client.set(f"{DEFAULT_PREFIX}lurker", b"\xc1")
    with counted(serving, "users", features="stale"):
        stale = ask(api, user_id="stale", k=10)
    assert (stale["user_features"], stale["cold_start"]) == ("stale", False)
    assert pin_ids(stale) == small_release.best(FRESH, 10, age="25", exclude=FRESH)
    with counted(serving, "unusable_users"), counted(serving, "users", features="missing"):
        broken = ask(api, user_id="broken", k=10)
    assert (broken["user_features"], broken["cold_start"]) == ("missing", True)
    assert pin_ids(broken) == small_release.best([], 10)
    with counted(serving, "unusable_users"), counted(serving, "users", features="snapshot"):
        assert ask(api, user_id="lurker")["user_features"] == "snapshot"


def test_a_materialised_snapshot_answers_as_the_snapshot_does(
    api: httpx.Client, redis: RedisServer, small_release: SmallRelease,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if redis.is_down:
        redis.start()
    redis.client.flushall()
    wait_until(lambda: redis_answers(api, redis), "an answer from Redis")
    before = [ask(api, user_id=user, k=10) for user in ("reader", "lurker")]
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    materialise_users(small_release.folder / "users", redis.url)
    after = [ask(api, user_id=user, k=10) for user in ("reader", "lurker")]
    # The release's own serving time is long ago.
    assert [answer.pop("user_features") for answer in after] == ["stale", "stale"]
    assert [answer.pop("user_features") for answer in before] == ["snapshot", "snapshot"]
    assert after == before


def redis_answers(api: httpx.Client, redis: RedisServer) -> bool:
    """Whether TorchServe asks Redis again, which it leaves alone for a while when it was down."""
    put(redis, "probe", time.time())
    return ask(api, user_id="probe")["user_features"] == "fresh"

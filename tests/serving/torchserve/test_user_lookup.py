"""Where what is known of a user comes from, with a real Redis beside a release's snapshot."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.features.encoder import HistoryItem
from homefeed.features.users import UserRecord
from homefeed.release.bundle import Release
from homefeed.release.user_tower import UserTower
from homefeed.release.users import PreparedUsers, UserSnapshot
from serving.torchserve.metrics import Metrics
from serving.torchserve.protocol import UserFeatures
from serving.torchserve.settings import RedisSettings
from serving.torchserve.user_lookup import KnownUser, UserLookup, open_redis
from tests.index.artifacts import SERVING_TIME
from tests.redis_server import RedisServer, redis_server
from tests.serving.small_release import SmallRelease

FEATURES = {"age": "25", "followed_interests": ["cats"], "activity": 1.5, "taste": [0.5, 0.25]}
MAX_AGE_SECONDS = 100
NOW = SERVING_TIME + 1000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """An empty one."""
    running.client.flushall()
    return running


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


Opened = Callable[[str], UserLookup]


@pytest.fixture
def opened(small_release: SmallRelease, metrics: Metrics) -> Iterator[Opened]:
    """Opens lookups that ask a URL of Redis, or none, and whose clock stands at NOW."""
    release = Release.open(small_release.folder)
    assert release.prepared_users is not None
    prepared = release.prepared_users
    with ExitStack() as stack:

        def open_lookup(url: str) -> UserLookup:
            settings = RedisSettings(url=url, deadline_seconds=10.0)
            lookup = UserLookup(
                UserSnapshot.open(release.users),
                PreparedUsers(prepared),
                open_redis(settings, UserTower(release.folder)),
                MAX_AGE_SECONDS,
                metrics,
                now=lambda: NOW,
            )
            stack.callback(lookup.close)
            return lookup

        yield open_lookup


def put(server: RedisServer, user_id: str, as_of: int = NOW, **changes: Any) -> UserRecord:
    record = msgspec.structs.replace(UserRecord(FEATURES, as_of=as_of), **changes)
    server.client.set(f"{RedisSettings().prefix}{user_id}", msgspec.msgpack.encode(record))
    return record


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"homefeed_retrieval_{name}_total", labels)


def test_without_redis_the_snapshot_answers(opened: Opened) -> None:
    lookup = opened("")
    reader, nobody = lookup.find(["reader", "nobody"])
    assert reader.source == UserFeatures.SNAPSHOT
    assert reader.record is not None and reader.record.as_of == SERVING_TIME
    assert nobody == KnownUser(None, UserFeatures.MISSING)
    assert lookup.find([]) == []


def test_what_is_fresh_goes_before_the_snapshot(opened: Opened, server: RedisServer) -> None:
    reader = put(server, "reader", history=(HistoryItem("p9", "save", NOW),), seen=("p9",))
    new = put(server, "new of today", as_of=NOW - MAX_AGE_SECONDS)
    found = opened(server.url).find(["reader", "lurker", "new of today", "nobody"])
    assert found[0] == KnownUser(reader, UserFeatures.FRESH)
    assert found[1].source == UserFeatures.SNAPSHOT
    assert found[2] == KnownUser(new, UserFeatures.FRESH)
    assert found[3] == KnownUser(None, UserFeatures.MISSING)


def test_of_what_is_stale_the_later_is_used(opened: Opened, server: RedisServer) -> None:
    later = put(server, "reader", as_of=SERVING_TIME + 1)
    put(server, "lurker", as_of=SERVING_TIME - 1)
    alone = put(server, "new", as_of=0)
    reader, lurker, new = opened(server.url).find(["reader", "lurker", "new"])
    assert reader == KnownUser(later, UserFeatures.STALE)
    assert lurker.source == UserFeatures.STALE
    assert lurker.record is not None and lurker.record.as_of == SERVING_TIME
    assert new == KnownUser(alone, UserFeatures.STALE)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"features": {}}, r"lacks the features \['activity', 'age', 'followed_interests', 'taste"),
        ({"features": FEATURES | {"age": 25}}, "'age' is categorical"),
        ({"features": FEATURES | {"followed_interests": [1]}}, "'followed_interests' is cat"),
        ({"features": FEATURES | {"activity": "much"}}, "'activity' is numeric"),
        ({"features": FEATURES | {"activity": {"a": 1}}}, "'activity' is numeric"),
        ({"features": FEATURES | {"activity": [1.0]}}, "dimension"),
        ({"features": FEATURES | {"activity": [1.0, 2.0]}}, "dimension"),
        ({"features": FEATURES | {"taste": [1.0]}}, "'taste' has 2 dimensions"),
        ({"features": FEATURES | {"taste": 1.0}}, "'taste' has 2 dimensions"),
        ({"features": FEATURES | {"taste": [1e300, 0.0]}}, "beyond float32"),
        ({"features": FEATURES | {"activity": 1e300}}, "beyond float32"),
        ({"as_of": 1000 * int(time.time())}, "lies ahead; it is in Unix seconds"),
    ],
)
def test_a_record_that_does_not_fit_the_release_is_left_aside(
    changes: dict[str, Any],
    complaint: str,
    opened: Opened,
    server: RedisServer,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put(server, "reader", **changes)
    put(server, "new", **changes)
    good = put(server, "lurker")
    with caplog.at_level(logging.DEBUG, "serving.torchserve.user_lookup"):
        reader, new, lurker = opened(server.url).find(["reader", "new", "lurker"])
    assert reader.source == UserFeatures.SNAPSHOT
    assert new == KnownUser(None, UserFeatures.MISSING)
    assert lurker == KnownUser(good, UserFeatures.FRESH)
    assert value(metrics, "unusable_users") == 2
    assert caplog.text.count("is left aside") == 2
    assert re.search(complaint, caplog.text)


def test_what_a_later_release_takes_does_no_harm(opened: Opened, server: RedisServer) -> None:
    put(server, "reader", features=FEATURES | {"mood": "fine", "age": None})
    (reader,) = opened(server.url).find(["reader"])
    assert reader.source == UserFeatures.FRESH


def test_an_outage_is_counted_and_logged_when_it_begins_and_when_it_ends(
    opened: Opened, tmp_path: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path)
    lookup = opened(server.url)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            (reader,) = lookup.find(["reader"])
            assert reader.source == UserFeatures.SNAPSHOT
        server.start()
        try:
            put(server, "reader")
            give_up = time.monotonic() + 60
            while lookup.find(["reader"])[0].source != UserFeatures.FRESH:
                assert time.monotonic() < give_up
        finally:
            server.stop()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "no fresh users, the snapshot stands in",
        "Redis answers again",
    ]
    for reason in ("unreachable", "paused"):
        assert value(metrics, "redis_failures", reason=reason), reason

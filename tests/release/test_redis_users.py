"""Users in a real Redis, beside the snapshot that they were written from."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.features.users import UserRecord
from homefeed.release.redis_connection import PASSWORD_VARIABLE, check_redis_url
from homefeed.release.redis_users import Reason, RedisUsers, RedisUsersError, UnusableRecord
from homefeed.release.users import UserSnapshot, UserStore, key_of
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import SERVING_TIME, write_dataset
from tests.redis_server import PASSWORD, RedisServer, redis_server

PREFIX = "test:"
LONG = "long " * 200
DEADLINE_SECONDS = 10.0
"""Of what shall answer; the machine may be busy."""
SHORT_SECONDS = 0.2
"""Of what shall not."""
RECORD = UserRecord({"age": "18"}, seen=("p1",), as_of=5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """An empty one."""
    running.client.flushall()
    return running


Opened = Callable[..., RedisUsers]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens users in Redis, and closes them in the end."""
    stores: list[RedisUsers] = []

    def open_users(
        url: str, deadline_seconds: float = DEADLINE_SECONDS, **options: Any
    ) -> RedisUsers:
        options.setdefault("pause_seconds", 0.0)
        stores.append(RedisUsers(url, prefix=PREFIX, deadline_seconds=deadline_seconds, **options))
        return stores[-1]

    yield open_users
    for store in stores:
        store.close()


def put(server: RedisServer, user_id: str, record: UserRecord) -> None:
    server.client.set(PREFIX.encode() + key_of(user_id), msgspec.msgpack.encode(record))


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    users = [{"user_id": "anna", "age": "18"}, {"user_id": LONG, "age": "25"}]
    dataset = write_dataset(tmp_path / "dataset", users, [("anna", "p1", "click", 10, "train")])
    write_user_snapshot(dataset, tmp_path / "users")
    return tmp_path / "users"


@pytest.mark.parametrize("kind", ["snapshot", "redis"])
def test_both_stores_answer_alike(
    kind: str, snapshot: Path, server: RedisServer, opened: Opened
) -> None:
    with UserSnapshot.open(snapshot) as written:
        expected = {user_id: written.get(user_id) for user_id in ("anna", LONG)}
        for user_id, record in expected.items():
            assert record is not None
            assert record.as_of == SERVING_TIME
            put(server, user_id, record)
        store: UserStore = opened(server.url) if kind == "redis" else written
        assert {user_id: store.get(user_id) for user_id in expected} == expected
        for unknown in ("", "nobody", "ann", LONG + "x", "日本"):
            assert store.get(unknown) is None


def test_many_users_are_read_at_once_in_order(server: RedisServer, opened: Opened) -> None:
    put(server, "a", RECORD)
    put(server, "c", msgspec.structs.replace(RECORD, as_of=6))
    users = opened(server.url)
    asked = server.client.info("commandstats").get("cmdstat_mget", {}).get("calls", 0)
    first, unknown, last = users.get_many(["a", "b", "c"])
    assert first == RECORD
    assert unknown is None
    assert isinstance(last, UserRecord) and last.as_of == 6
    assert server.client.info("commandstats")["cmdstat_mget"]["calls"] == asked + 1


def test_a_record_of_another_homefeed_is_read_as_far_as_it_is_known(
    server: RedisServer, opened: Opened
) -> None:
    older = {"features": {"age": "18"}, "seen": ["p1"]}
    newer = older | {"as_of": 5, "mood": "fine"}
    for name, record in (("older", older), ("newer", newer)):
        server.client.set(f"{PREFIX}{name}", msgspec.msgpack.encode(record))
    users = opened(server.url)
    assert users.get_many(["older", "newer"]) == [
        msgspec.structs.replace(RECORD, as_of=0), RECORD,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xc1",
        b"not msgpack",
        msgspec.msgpack.encode(RECORD)[:-1],
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"features": ["age"]}),
        msgspec.msgpack.encode({"history": [{"pin_id": 7, "action": "click", "timestamp": 1}]}),
        msgspec.msgpack.encode({"as_of": "today"}),
        b"\x81\xa8features\x81\xa3age" + b"\x91" * 100_000,
        b"\x81\xa4seen\x91\xa1\xff",
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_is_no_record_costs_its_neighbours_nothing(
    value: bytes, server: RedisServer, opened: Opened
) -> None:
    put(server, "good", RECORD)
    server.client.set(f"{PREFIX}bad", value)
    users = opened(server.url)
    good, bad = users.get_many(["good", "bad"])
    assert good == RECORD
    assert isinstance(bad, UnusableRecord)
    with pytest.raises(UnusableRecord):
        users.get("bad")


def test_a_key_that_holds_something_else_is_no_user(server: RedisServer, opened: Opened) -> None:
    server.client.rpush(f"{PREFIX}list", "a")
    assert opened(server.url).get("list") is None


def test_a_record_that_fails_the_check_is_unusable(server: RedisServer, opened: Opened) -> None:
    def check(records: Sequence[UserRecord]) -> None:
        if any(record.as_of < 5 for record in records):
            raise ValueError("too old for this test")

    put(server, "good", RECORD)
    put(server, "bad", msgspec.structs.replace(RECORD, as_of=4))
    users = opened(server.url, check=check)
    good, unknown, bad = users.get_many(["good", "unknown", "bad"])
    assert (good, unknown) == (RECORD, None)
    assert isinstance(bad, UnusableRecord)
    with pytest.raises(UnusableRecord, match="too old for this test"):
        users.get("bad")


def test_it_may_be_down_at_first_and_go_down_and_come_back(tmp_path: Path, opened: Opened) -> None:
    server = RedisServer(tmp_path)
    users = opened(server.url)
    assert reason_of(users) == Reason.UNREACHABLE
    for _ in range(2):
        server.start()
        try:
            put(server, "a", RECORD)
            assert users.get("a") == RECORD
        finally:
            server.stop()
        assert reason_of(users) == Reason.UNREACHABLE


def test_a_restart_between_two_requests_is_not_noticed(tmp_path: Path, opened: Opened) -> None:
    with redis_server(tmp_path) as server:
        users = opened(server.url)
        assert users.get("a") is None
        server.stop()
        server.start()
        put(server, "a", RECORD)
        assert users.get("a") == RECORD


def test_one_that_says_nothing_is_given_up_and_asked_again(
    server: RedisServer, opened: Opened
) -> None:
    put(server, "a", RECORD)
    users = opened(server.url, SHORT_SECONDS)
    assert until_answered(users) == RECORD
    with server.stalled():
        assert reason_of(users) == Reason.LATE
    # The late answer of the earlier request is no answer to this one.
    put(server, "b", msgspec.structs.replace(RECORD, as_of=7))
    assert until_answered(users, "b") == msgspec.structs.replace(RECORD, as_of=7)


def test_a_connection_that_is_never_answered_keeps_nobody_waiting(opened: Opened) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        # The query's limit goes before ours, and stands for what has none: a name server.
        users = opened(f"redis://127.0.0.1:{port}?socket_timeout=60", SHORT_SECONDS)
        assert reason_of(users) == Reason.LATE
        assert [reason_of(users) for _ in range(3)] == [Reason.PAUSED] * 3


def test_after_a_failure_it_is_left_alone_for_a_while(tmp_path: Path, opened: Opened) -> None:
    server = RedisServer(tmp_path)
    users = opened(server.url, pause_seconds=3600.0)
    assert reason_of(users) == Reason.UNREACHABLE
    server.start()
    try:
        assert reason_of(users) == Reason.PAUSED
        assert opened(server.url).get("a") is None
    finally:
        server.stop()


def test_the_password_comes_from_the_environment(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_server(tmp_path, PASSWORD) as server:
        assert reason_of(opened(server.url)) == Reason.REFUSED
        monkeypatch.setenv(PASSWORD_VARIABLE, "another")
        assert reason_of(opened(server.url)) == Reason.REFUSED
        monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
        put(server, "a", RECORD)
        assert opened(server.url).get("a") == RECORD
        assert opened(server.url.replace("//", "//default@")).get("a") == RECORD


@pytest.mark.parametrize(
    "url", ["redis://:hush@host", "rediss://user:hush@host/0", "unix:///s?password=hush"]
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=f"give it in the variable {PASSWORD_VARIABLE}") as error:
        check_redis_url(url)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("url", ["redis", "http://host", "redis://", "host:6379", "unix://"])
def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no URL of Redis; one is redis://host:6379/0"):
        RedisUsers(url)


def reason_of(users: RedisUsers) -> Reason:
    with pytest.raises(RedisUsersError) as error:
        users.get("a")
    return error.value.reason


def until_answered(users: RedisUsers, user_id: str = "a") -> UserRecord | None:
    """The first answer: a busy machine may miss a short deadline."""
    give_up = time.monotonic() + 60
    while True:
        try:
            return users.get(user_id)
        except RedisUsersError:
            assert time.monotonic() < give_up
            time.sleep(0.01)

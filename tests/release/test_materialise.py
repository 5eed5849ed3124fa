"""A snapshot's users, written to a real Redis."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from homefeed.features.users import UserRecord
from homefeed.release import materialise
from homefeed.release.materialise import materialise_users
from homefeed.release.redis_connection import DEFAULT_PREFIX
from homefeed.release.redis_users import RedisUsers
from homefeed.release.users import UserSnapshot
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import SERVING_TIME, write_dataset
from tests.redis_server import RedisServer, redis_server

LONG = "long " * 200
USERS = [*(f"user {i}" for i in range(23)), "日本", LONG]
DAY = 86_400


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """An empty one."""
    running.client.flushall()
    return running


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshot")
    users = [{"user_id": name, "age": "18"} for name in USERS]
    events = [(name, f"p{row % 7}", "click", row, "train") for row, name in enumerate(USERS * 3)]
    write_user_snapshot(write_dataset(folder / "dataset", users, events), folder / "users")
    return folder / "users"


def records(users: UserSnapshot | RedisUsers) -> dict[str, UserRecord | None]:
    return {user_id: users.get(user_id) for user_id in USERS}


def test_what_is_written_is_what_the_snapshot_says(
    snapshot: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialise, "USERS_AT_ONCE", 4)
    assert materialise_users(snapshot, server.url) == (len(USERS), 0)
    with (
        UserSnapshot.open(snapshot) as expected,
        closing(RedisUsers(server.url, deadline_seconds=10)) as found,
    ):
        assert records(found) == records(expected)
        assert None not in records(found).values()


def test_again_it_changes_nothing_but_the_end(snapshot: Path, server: RedisServer) -> None:
    materialise_users(snapshot, server.url, ttl_days=1)
    before = {key: server.client.get(key) for key in server.client.keys()}
    assert len(before) == len(USERS)
    assert {0 < server.client.ttl(key) <= DAY for key in before} == {True}
    assert materialise_users(snapshot, server.url, ttl_days=2) == (len(USERS), 0)
    assert {key: server.client.get(key) for key in server.client.keys()} == before
    assert {DAY < server.client.ttl(key) <= 2 * DAY for key in before} == {True}


@pytest.mark.parametrize(
    ("as_of", "is_kept"), [(SERVING_TIME + 1, True), (SERVING_TIME - 1, False)]
)
def test_a_fresher_record_stays(
    snapshot: Path, server: RedisServer, as_of: int, is_kept: bool
) -> None:
    key = f"{DEFAULT_PREFIX}{USERS[0]}"
    held = msgspec.msgpack.encode(UserRecord({"age": "25"}, as_of=as_of))
    server.client.set(key, held)
    assert materialise_users(snapshot, server.url) == (len(USERS) - is_kept, is_kept)
    assert (server.client.get(key) == held) is is_kept


@pytest.mark.parametrize(
    "held", [b"", b"\xc1", b"text", b"\x93\x01\x02\x03", b"\x81\xa5as_of\xa1x"]
)
def test_what_is_no_record_is_replaced(snapshot: Path, server: RedisServer, held: bytes) -> None:
    key = f"mine:{USERS[0]}"
    server.client.set(key, held)
    assert materialise_users(snapshot, server.url, prefix="mine:") == (len(USERS), 0)
    assert server.client.get(key) != held
    assert len(server.client.keys("mine:*")) == len(USERS)


def test_a_redis_that_is_down_is_said(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RedisServer(tmp_path)
    with pytest.raises(RuntimeError) as error:
        materialise_users(snapshot, server.url)
    assert str(error.value).startswith(f"Redis at {server.url}: ConnectionError: ")
    assert f"; 0 of {len(USERS)} users are written: run it again" in str(error.value)


def test_a_time_to_live_must_be_one(snapshot: Path) -> None:
    with pytest.raises(ValueError, match="ttl_days=0 must be positive"):
        materialise_users(snapshot, "redis://host", ttl_days=0)

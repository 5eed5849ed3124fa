from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.features.encoder import FEATURES_FILE, HistoryItem
from homefeed.features.users import UserRecord
from homefeed.release import known_users, write_users, write_values
from homefeed.release.users import UserSnapshot, key_of
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import SERVING_TIME, encoder, write_dataset

LONG = "long " * 200
USERS = [
    {"user_id": "anna", "age": "18", "followed_interests": ["art"], "inferred_interests": []},
    {"user_id": "bo", "age": None, "inferred_interests": ["cats"]},
    {"user_id": LONG, "age": "25"},
]
ENGAGEMENTS = [
    ("anna", "p1", "click", 10, "train"),
    ("anna", "p2", "save", 20, "train"),
    ("anna", "p3", "click", 20, "train"),  # the same second as p2, but a later event
    ("anna", "p1", "save", 30, "validation"),
    ("anna", "p9", "save", SERVING_TIME + 1, "test"),
    (LONG, "p4", "click", 10, "train"),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset", USERS, ENGAGEMENTS)


@pytest.fixture
def snapshot(tmp_path: Path, dataset: Path) -> Path:
    write_user_snapshot(dataset, tmp_path / "users")
    return tmp_path / "users"


def test_a_record_is_what_was_known_at_serving_time(snapshot: Path) -> None:
    with UserSnapshot.open(snapshot) as users:
        assert users.get("anna") == UserRecord(
            features={"age": "18"},
            history=(
                HistoryItem("p1", "save", 30),
                HistoryItem("p3", "click", 20),
                HistoryItem("p2", "save", 20),
            ),
            seen=("p1", "p2", "p3"),
            followed_interests=("art",),
            as_of=SERVING_TIME,
        )
        assert users.get("bo") == UserRecord(
            {"age": None}, inferred_interests=("cats",), as_of=SERVING_TIME
        )


def test_other_columns_of_the_users_do_not_matter(dataset: Path, tmp_path: Path) -> None:
    write_user_snapshot(dataset, tmp_path / "without")
    table = pq.read_table(dataset / "users.parquet")
    for name in ("history", "seen", "timestamp", "split"):
        table = table.append_column(name, pa.array(["own"] * len(table)))
    pq.write_table(table, dataset / "users.parquet")
    write_user_snapshot(dataset, tmp_path / "with")
    with (
        UserSnapshot.open(tmp_path / "without") as expected,
        UserSnapshot.open(tmp_path / "with") as found,
    ):
        for user in ("anna", "bo", LONG):
            assert found.get(user) == expected.get(user)


@pytest.mark.parametrize("name", ["seen", "chosen", 'a "b" {c}'])
def test_a_feature_may_have_any_name(dataset: Path, tmp_path: Path, name: str) -> None:
    table = pq.read_table(dataset / "users.parquet")
    pq.write_table(
        table.append_column(name, pa.array(["18"] * len(table))), dataset / "users.parquet"
    )
    encoder((name,)).save(dataset / FEATURES_FILE)
    write_user_snapshot(dataset, tmp_path / "users")
    with UserSnapshot.open(tmp_path / "users") as users:
        record = users.get("anna")
        assert record is not None
        assert (record.features, record.seen) == ({name: "18"}, ("p1", "p2", "p3"))


def test_ids_beyond_the_key_limit_are_found(snapshot: Path) -> None:
    with UserSnapshot.open(snapshot) as users:
        record = users.get(LONG)
        assert record is not None
        assert record.seen == ("p4",)
        assert users.get(LONG + "x") is None


@pytest.mark.parametrize("user_id", ["", "nobody", "ann", "anna\0", "日本"])
def test_unknown_users_are_none(snapshot: Path, user_id: str) -> None:
    with UserSnapshot.open(snapshot) as users:
        assert users.get(user_id) is None


def test_reading_writes_nothing(snapshot: Path) -> None:
    before = sorted(snapshot.iterdir())
    with UserSnapshot.open(snapshot) as users:
        users.get("anna")
        assert sorted(snapshot.iterdir()) == before


def test_threads_share_a_snapshot(snapshot: Path) -> None:
    with UserSnapshot.open(snapshot) as users, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(users.get, ["anna", "bo", "nobody"] * 100))
        assert found == [users.get("anna"), users.get("bo"), None] * 100


def test_pins_that_others_stand_for(dataset: Path, tmp_path: Path) -> None:
    write_user_snapshot(dataset, tmp_path / "without")
    with UserSnapshot.open(tmp_path / "without") as users:
        assert users.item_of("p1") == "p1"
    long_copy = "p1 " * 300
    other = write_dataset(tmp_path / "other", USERS, ENGAGEMENTS, {long_copy: "p1", "ü": "pß"})
    write_user_snapshot(other, tmp_path / "with")
    with UserSnapshot.open(tmp_path / "with") as users:
        found = [users.item_of(pin) for pin in (long_copy, "ü", "p1", "")]
    assert found == ["p1", "pß", "p1", ""]


def test_parts_and_growing_maps_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [{"user_id": f"u{i}", "age": "18"} for i in range(300)]
    engagements = [
        (f"u{i % 300}", f"pin {i % 7} {'x' * 100}", "click", i, "train") for i in range(3000)
    ]
    dataset = write_dataset(tmp_path / "dataset", users, engagements)
    whole = write_user_snapshot(dataset, tmp_path / "whole")
    monkeypatch.setattr(write_users, "EVENTS_AT_ONCE", 500)
    monkeypatch.setattr(known_users, "USERS_AT_ONCE", 20)
    monkeypatch.setattr(write_values, "FIRST_MAP_BYTES", 1 << 15)
    parts = write_user_snapshot(dataset, tmp_path / "parts")
    assert parts.details == whole.details
    with (
        UserSnapshot.open(tmp_path / "whole") as expected,
        UserSnapshot.open(tmp_path / "parts") as found,
    ):
        for user in users:
            record = found.get(user["user_id"])
            assert record is not None
            assert record == expected.get(user["user_id"])
            assert len(record.history) == 3


def test_an_unfinished_snapshot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no manifest.json: it is no finished users artifact"):
        UserSnapshot.open(tmp_path)


def test_all_users_are_read_in_batches(snapshot: Path) -> None:
    with UserSnapshot.open(snapshot) as users:
        sizes, read = [], {}
        for batch in users.batches(2):
            sizes.append(len(batch))
            read |= {key: msgspec.msgpack.decode(value, type=UserRecord) for key, value in batch}
        assert sizes == [2, 1]
        assert read == {key_of(user): users.get(user) for user in ("anna", "bo", LONG)}

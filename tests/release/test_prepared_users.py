"""Users prepared for serving are those of the snapshot, by the numbers of their release."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from homefeed.features.encoder import FeatureEncoder, HistoryItem, Vocabulary
from homefeed.features.users import PreparedUser, UserRecord
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.index.pin_ids import PinIds
from homefeed.release import prepare_users as module
from homefeed.release.prepare_users import prepare_users
from homefeed.release.users import PreparedUsers, UserSnapshot
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import encoder, write_corpus, write_dataset, write_embeddings

LONG = "long " * 200
USERS = [
    {"user_id": "anna", "age": "18", "followed_interests": ["art"], "inferred_interests": ["b"]},
    {"user_id": "bo", "age": None},
    {"user_id": LONG, "age": "25"},
]
ENGAGEMENTS = [
    ("anna", "p3", "click", 10, "train"),
    ("anna", "gone", "save", 20, "train"),  # not in the corpus
    ("anna", "p1", "hide", 30, "train"),  # an action that the encoder does not know
    ("anna", "p3", "save", 40, "train"),
    ("anna", "p0", "save", 50, "train"),
    (LONG, "gone", "click", 10, "train"),
]
INTERESTS = [["b"], ["a"], [], ["b", "a"]]
"""Of p0, p1, ...: rows of the index have another order."""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    write_user_snapshot(write_dataset(tmp_path / "dataset", USERS, ENGAGEMENTS), tmp_path / "users")
    return tmp_path / "users"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    corpus = write_corpus(tmp_path / "corpus", INTERESTS)
    embeddings = write_embeddings(tmp_path / "embeddings", np.eye(4))
    build_index(corpus, [embeddings], IndexConfig(), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def small_encoder() -> FeatureEncoder:
    """Of a shorter history than the snapshot's."""
    vocabularies = encoder().vocabularies | {"pin_id": Vocabulary(("p3", "gone", "p0"))}
    return msgspec.structs.replace(encoder(history_length=2), vocabularies=vocabularies)


@pytest.fixture(params=[1, 10_000])
def prepared(
    users: Path,
    index: Path,
    small_encoder: FeatureEncoder,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[PreparedUsers]:
    monkeypatch.setattr(module, "USERS_AT_ONCE", request.param)
    prepare_users(users, index, small_encoder, tmp_path / "prepared.mdb")
    with closing(PreparedUsers(tmp_path / "prepared.mdb")) as found:
        yield found


def found(prepared: PreparedUsers, user_id: str) -> PreparedUser:
    user = prepared.get(user_id)
    assert user is not None
    return user


def test_what_was_seen_is_named_by_rows_of_the_index(prepared: PreparedUsers, index: Path) -> None:
    pin_ids = PinIds.load(index)

    def seen(user_id: str) -> list[str]:
        rows = np.frombuffer(found(prepared, user_id).seen_rows, "<i4").tolist()
        assert rows == sorted(set(rows))
        return sorted(pin_ids[row] for row in rows)

    assert seen("anna") == ["p0", "p1", "p3"]
    assert seen("bo") == seen(LONG) == []
    assert prepared.get("nobody") is None


def test_a_history_is_what_the_encoder_makes_of_it(
    prepared: PreparedUsers, users: Path, small_encoder: FeatureEncoder
) -> None:
    assert found(prepared, "anna").history.tolist() == [[4, 2], [3, 3], [0, 4]]
    ids = ["anna", "bo", LONG]
    with UserSnapshot.open(users) as snapshot:
        records = [snapshot.get(user_id) or UserRecord() for user_id in ids]
    raw = [record.history for record in records]
    expected = small_encoder.encode_histories(raw)
    own = [found(prepared, user_id).history for user_id in ids]
    mixed = [own[0], raw[1], own[2]]
    for histories in (own, mixed):
        for name, tensor in small_encoder.encode_histories(histories).items():
            np.testing.assert_array_equal(tensor, expected[name])
    assert small_encoder.encode_history(()).shape == (3, 0)
    assert records[0].history[0] == HistoryItem("p0", "save", 50)


def test_the_rest_is_the_record(prepared: PreparedUsers, users: Path) -> None:
    with UserSnapshot.open(users) as snapshot:
        for user_id in ("anna", "bo", LONG):
            record, user = snapshot.get(user_id), found(prepared, user_id)
            assert record is not None
            for field in ("features", "followed_interests", "inferred_interests", "as_of"):
                assert getattr(user, field) == getattr(record, field)

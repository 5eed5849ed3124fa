"""Conditional retrieval through a real tower and a real sidecar, against brute force."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.contracts import write_manifest
from homefeed.index.search import SearchEngine
from homefeed.release.bundle import read_release_manifest
from serving.client import HomefeedClient, InvalidRequestError
from serving.local import LocalServing
from serving.torchserve.metrics import Metrics
from serving.torchserve.protocol import MAX_CONDITIONS, Recommendations, Request
from serving.torchserve.request import InvalidRequest
from serving.torchserve.retriever import Answer, Retriever
from serving.torchserve.settings import HandlerSettings
from serving.torchserve.sidecar_client import SidecarClient
from tests.serving.sidecar_process import running
from tests.serving.small_release import (
    NUM_PINS,
    READER,
    SETTINGS,
    SmallRelease,
    build_small_release,
    with_settings,
)

Expected = list[tuple[str, str]]
"""Pins with what found them."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    """A release whose tower knows conditions and gives two embeddings."""
    return build_small_release(tmp_path_factory.mktemp("conditional"), conditional=True)


@pytest.fixture(scope="module")
def socket_path(release: SmallRelease, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("sidecar") / "s.sock"
    with running(release.folder, path):
        yield path


def opened(release: SmallRelease, socket_path: Path, max_conditions: int = 4) -> closing[Retriever]:
    settings = HandlerSettings(max_conditions=max_conditions)
    client = SidecarClient(socket_path, 30.0)
    return closing(Retriever(release.folder, client, Metrics(), settings))


@pytest.fixture
def retriever(release: SmallRelease, socket_path: Path) -> Iterator[Retriever]:
    with opened(release, socket_path) as retriever:
        yield retriever


def body(user_id: str = "reader", **request: Any) -> bytes:
    return json.dumps({"user_id": user_id, **request}).encode()


def ask(retriever: Retriever, *args: str, **request: Any) -> Expected:
    (answer,) = retriever.retrieve([body(*args, **request)])
    return found(answer)


def found(answer: Answer) -> Expected:
    assert isinstance(answer, Recommendations), answer
    assert not answer.degraded
    return [(pin.pin_id, pin.source) for pin in answer.pins]


def best(
    release: SmallRelease,
    conditions: Sequence[str],
    k: int,
    history: Sequence[str] = READER,
    age: str | None = "18",
    interests: Sequence[str] = (),
    exclude: Sequence[str] = READER,
) -> Expected:
    """Equal turns over full sorts: two embeddings of no condition, then one of each condition."""
    own = release.conditioned_vectors(history, age)
    rows = [(f"embedding_{place}", vector, set(interests)) for place, vector in enumerate(own)]
    for name in conditions:
        vectors = release.conditioned_vectors(history, age, name)
        rows.append((f"condition:{name}", vectors[0], {name}))
    queues = []
    for source, vector, wanted in rows:
        pins = [
            pin
            for pin in (-(release.vectors @ vector)).argsort(kind="stable")
            if not wanted or wanted & set(release.interests[pin])
        ]
        queues.append((source, [f"p{pin}" for pin in pins if f"p{pin}" not in exclude]))
    taken: dict[str, str] = {}
    while len(taken) < k and any(queue for _, queue in queues):
        for source, queue in queues:
            while queue and queue[0] in taken:
                queue.pop(0)
            if queue and len(taken) < k:
                taken[queue.pop(0)] = source
    return list(taken.items())


def test_a_user_is_asked_for_what_they_follow(retriever: Retriever, release: SmallRelease) -> None:
    assert ask(retriever, k=40) == best(release, ["art"], 40)
    assert ask(retriever, k=NUM_PINS) == best(release, ["art"], NUM_PINS)
    # "chess", which no pin has, is passed over.
    expected = best(release, ["größe"], 40, (), "25", exclude=())
    assert ask(retriever, "lurker", k=40) == expected
    assert ask(retriever, "nobody", k=40) == best(release, [], 40, (), None, exclude=())


def test_what_is_followed_comes_before_what_is_inferred_and_nothing_twice(
    retriever: Retriever, release: SmallRelease
) -> None:
    features: dict[str, Any] = {
        "followed_interests": ["cats", "new", "cats"],
        "inferred_interests": ["art", "cats"],
    }
    assert ask(retriever, k=30, features=features) == best(release, ["cats", "art"], 30)
    features = {"followed_interests": None}
    assert ask(retriever, k=30, features=features) == best(release, [], 30)
    features = {"followed_interests": [], "inferred_interests": ["größe"]}
    assert ask(retriever, k=30, features=features) == best(release, ["größe"], 30)


def test_explicit_conditions_take_the_place_of_the_users(
    retriever: Retriever, release: SmallRelease
) -> None:
    expected = best(release, ["cats", "größe"], 50)
    assert ask(retriever, k=50, conditions=["cats", "größe", "cats"]) == expected
    assert ask(retriever, k=50, conditions=[]) == best(release, [], 50)
    assert ask(retriever, k=50, conditions=None) == best(release, ["art"], 50)


@pytest.mark.parametrize("conditions", [None, ["cats"], []])
def test_a_filter_holds_for_every_embedding(
    retriever: Retriever, release: SmallRelease, conditions: list[str] | None
) -> None:
    interests = ["größe", "cats", "größe"]
    chosen = ["größe", "cats"] if conditions is None else conditions
    answer = ask(retriever, k=60, interests=interests, conditions=conditions, exclude=["p4", "p8"])
    assert answer == best(release, chosen, 60, interests=interests, exclude=[*READER, "p4", "p8"])
    assert all({"größe", "cats"} & release.interests_of(pin) for pin, _ in answer)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_the_settings_bound_the_conditions_that_nobody_names(
    release: SmallRelease, socket_path: Path, most: int
) -> None:
    features = {"followed_interests": ["cats", "art", "größe"]}
    with opened(release, socket_path, most) as retriever:
        retriever.warm_up(2)
        expected = best(release, ["cats", "art", "größe"][:most], 30)
        assert ask(retriever, k=30, features=features) == expected
        named = ask(retriever, k=30, conditions=["art", "cats", "größe"])
        assert named == best(release, ["art", "cats", "größe"], 30)


def test_a_batch_mixes_all_of_them(retriever: Retriever, release: SmallRelease) -> None:
    bodies = [
        body(k=20, conditions=["cats", "art"]),
        b"{",
        body("lurker", k=7),
        body("nobody", k=9),
        body(k=30, interests=["art"], conditions=[]),
        body(k=0),
        body(k=25),
    ]
    first, broken, second, third, fourth, bad, fifth = retriever.retrieve(bodies)
    assert found(first) == best(release, ["cats", "art"], 20)
    assert found(second) == best(release, ["größe"], 7, (), "25", exclude=())
    assert found(third) == best(release, [], 9, (), None, exclude=())
    assert found(fourth) == best(release, [], 30, interests=["art"])
    assert found(fifth) == best(release, ["art"], 25)
    assert isinstance(broken, InvalidRequest) and isinstance(bad, InvalidRequest)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"conditions": ["chess"]}, "no pin has 'chess'; there are art, cats, größe"),
        ({"conditions": ["x" * 5000]}, "no pin has"),
        (
            {"conditions": ["cats"], "interests": ["art", "größe"]},
            "'cats' is not among the request's interests; these are art, größe",
        ),
        ({"conditions": ["art"] * (MAX_CONDITIONS + 1)}, f"at most {MAX_CONDITIONS} names"),
        ({"conditions": "art"}, "conditions must be a list of at most"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(
    retriever: Retriever, release: SmallRelease, request_: dict[str, Any], message: str
) -> None:
    refused, answer = retriever.retrieve([body(**request_), body(k=5)])
    assert isinstance(refused, InvalidRequest)
    assert (refused.status, refused.body.error.field) == (400, "conditions")
    assert message in refused.body.error.message
    assert len(refused.body.error.message) < 1000
    assert found(answer) == best(release, ["art"], 5)


def test_a_release_without_conditions_takes_none(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    with (
        running(small_release.folder, tmp_path / "s.sock"),
        opened(small_release, tmp_path / "s.sock") as retriever,
    ):
        expected = [
            (pin, "embedding_0") for pin in small_release.best(READER, 20, "18", exclude=READER)
        ]
        for conditions in (None, []):
            assert ask(retriever, k=20, conditions=conditions) == expected
        refused, inferred = retriever.retrieve(
            [body(conditions=["art"]), body(features={"inferred_interests": ["art"]})]
        )
        assert isinstance(refused, InvalidRequest)
        assert refused.body.error.field == "conditions"
        assert "was trained without conditions" in refused.body.error.message
        assert isinstance(inferred, InvalidRequest)
        assert inferred.body.error.field == "features.inferred_interests"


def test_popular_pins_stand_in_as_without_conditions(release: SmallRelease, tmp_path: Path) -> None:
    with opened(release, tmp_path / "s.sock") as retriever:
        (answer,) = retriever.retrieve([body(k=5, interests=["cats"], conditions=["cats"])])
    assert isinstance(answer, Recommendations) and answer.degraded
    assert [pin.pin_id for pin in answer.pins] == release.popular(5, "cats", exclude=READER)


def test_a_query_that_the_sidecar_refuses_is_answered_with_popular_pins(
    release: SmallRelease, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sidecar whose release has the same version, yet a corpus that lost an interest."""
    other = tmp_path / "other"
    build_small_release(other, conditional=True, interests=("art", "größe", "art"))
    manifest = read_release_manifest(other / "release")
    same_version = msgspec.structs.replace(manifest, version=release.version)
    write_manifest(other / "release", same_version)
    assert SearchEngine.load(other / "index").interests == ("art", "größe")
    metrics = Metrics()
    with running(other / "release", tmp_path / "s.sock"):
        client = SidecarClient(tmp_path / "s.sock", 30.0)
        with closing(Retriever(release.folder, client, metrics)) as retriever:
            bodies = [body(k=5), body(k=5, interests=["cats"]), body("lurker", k=6)]
            first, refused, last = retriever.retrieve(bodies)
            retriever.retrieve(bodies)
    assert len(found(first)) == 5 and len(found(last)) == 6
    assert isinstance(refused, Recommendations)
    assert (refused.degraded, refused.index_version) == (True, None)
    assert [pin.pin_id for pin in refused.pins] == release.popular(5, "cats", exclude=READER)
    value = metrics.registry.get_sample_value
    assert value("homefeed_retrieval_refused_queries_total") == 2
    assert value("homefeed_retrieval_requests_total", {"outcome": "degraded"}) == 2
    assert value("homefeed_retrieval_requests_total", {"outcome": "ok"}) == 4
    (record,) = caplog.records
    assert "interests: no pin has 'cats'; there are art, größe" in record.getMessage()


def test_the_settings_of_a_release_reach_the_workers(release: SmallRelease, tmp_path: Path) -> None:
    handler = msgspec.structs.replace(SETTINGS.handler, max_conditions=1)
    settings = msgspec.structs.replace(SETTINGS, handler=handler)
    folder = with_settings(release.folder, tmp_path / "release", settings)
    features = {"followed_interests": ["cats", "art"]}
    with (
        LocalServing(folder, tmp_path / "work") as serving,
        HomefeedClient(serving.state.url, timeout_seconds=60) as client,
    ):
        usual = client.recommend("reader", k=30, features=features)
        named = client.recommend("reader", k=30, conditions=["art", "größe"])
        with pytest.raises(InvalidRequestError, match="conditions: no pin has 'chess'"):
            client.recommend("reader", conditions=["chess"])
    assert found(usual) == best(release, ["cats"], 30)
    assert found(named) == best(release, ["art", "größe"], 30)


def test_a_request_says_null_where_it_says_nothing() -> None:
    request = msgspec.json.decode(b'{"user_id": "u"}', type=Request)
    assert request.conditions is None

"""What comes out over HTTP is what brute force finds."""

from typing import Any

import httpx
import pytest

from serving.client import HomefeedClient
from serving.client.client import PATH
from serving.local import LocalServing
from serving.torchserve.protocol import HistoryEntry
from tests.serving.asking import ask, pin_ids
from tests.serving.small_release import COPIED, COPY, NUM_PINS, READER, SmallRelease


def engagements(*pin_ids: str) -> list[dict[str, Any]]:
    return [{"pin_id": pin_id, "action": "click"} for pin_id in pin_ids]


@pytest.mark.parametrize("k", [1, 7, NUM_PINS - 3])
def test_k_pins_are_the_best_unseen_ones(
    api: httpx.Client, small_release: SmallRelease, k: int
) -> None:
    answer = ask(api, user_id="reader", k=k)
    assert pin_ids(answer) == small_release.best(READER, k, age="18", exclude=READER)


def test_an_answer_says_where_it_comes_from(
    api: httpx.Client, serving: LocalServing, small_release: SmallRelease
) -> None:
    answer = ask(api, user_id="reader", k=50)
    facts = {"model_version", "index_version", "degraded", "cold_start", "user_features"}
    assert answer.keys() == {"pins"} | facts
    assert answer["user_features"] == "snapshot"
    version = serving.state.version
    assert (answer["model_version"], answer["index_version"]) == (version, version)
    assert (answer["degraded"], answer["cold_start"]) == (False, False)
    assert {pin["source"] for pin in answer["pins"]} == {"embedding_0"}
    scores = [pin["score"] for pin in answer["pins"]]
    assert scores == sorted(scores, reverse=True)
    user = small_release.user_vector(READER, age="18")
    best = small_release.vectors @ user
    assert scores == pytest.approx(sorted(best[[0, *range(4, NUM_PINS)]], reverse=True)[:50])


def test_without_k_there_are_twenty_and_more_than_there_are_is_all(api: httpx.Client) -> None:
    assert len(ask(api, user_id="reader")["pins"]) == 20
    assert len(ask(api, user_id="reader", k=1000)["pins"]) == NUM_PINS - len(READER)


@pytest.mark.parametrize("interests", [["art"], ["größe"], ["cats", "art"], ["cats", "cats"]])
def test_interests_filter_and_several_are_a_union(
    api: httpx.Client, small_release: SmallRelease, interests: list[str]
) -> None:
    answer = ask(api, user_id="reader", k=40, interests=interests)
    expected = small_release.best(READER, 40, age="18", interests=interests, exclude=READER)
    assert pin_ids(answer) == expected


def test_excluded_pins_make_room_for_the_next_ones(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    excluded = small_release.best(READER, 8, age="18")[::2]
    answer = ask(api, user_id="reader", k=10, exclude=[*excluded, "no pin", excluded[0]])
    expected = small_release.best(READER, 10, age="18", exclude=[*READER, *excluded])
    assert pin_ids(answer) == expected


def test_a_duplicate_is_taken_for_the_pin_that_stands_for_it(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    answer = ask(api, user_id="lurker", k=10, history=engagements(COPY), include_seen=True)
    assert pin_ids(answer) == small_release.best((COPIED,), 10, age="25")
    answer = ask(api, user_id="reader", k=NUM_PINS, exclude=[COPY])
    assert pin_ids(answer) == small_release.best(
        READER, NUM_PINS - 4, age="18", exclude=[*READER, COPIED]
    )


def test_nothing_is_left_where_everything_is_excluded(api: httpx.Client) -> None:
    excluded = [f"p{row}" for row in range(10_000)]
    answer = ask(api, user_id="reader", exclude=excluded)
    assert (answer["pins"], answer["degraded"]) == ([], False)


def test_seen_pins_come_back_where_they_are_wanted(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    answer = ask(api, user_id="reader", k=30, include_seen=True)
    assert pin_ids(answer) == small_release.best(READER, 30, age="18")
    assert set(READER) & set(pin_ids(answer))


def test_a_given_history_replaces_the_one_on_record(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    history = ["p50", "p60", "p70", "p80", "p90"]  # the last one is beyond the tower's length
    answer = ask(api, user_id="reader", k=20, history=engagements(*history))
    expected = small_release.best(history, 20, age="18", exclude=[*READER, *history])
    assert pin_ids(answer) == expected


def test_timestamps_say_which_engagements_are_the_last(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    times = {"p50": 3, "p60": 1, "p70": 5, "p80": 4, "p90": 2}
    history = [
        {"pin_id": pin_id, "action": "click", "timestamp": time} for pin_id, time in times.items()
    ]
    answer = ask(api, user_id="reader", k=20, history=history)
    latest = ["p70", "p80", "p50", "p90"]
    assert pin_ids(answer) == small_release.best(latest, 20, age="18", exclude=[*READER, *times])


def test_an_empty_history_is_one_too(api: httpx.Client, small_release: SmallRelease) -> None:
    answer = ask(api, user_id="reader", k=20, history=[])
    assert pin_ids(answer) == small_release.best([], 20, age="18", exclude=READER)


def test_a_history_of_unknown_pins_says_nothing(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    answer = ask(api, user_id="lurker", k=20, history=engagements("new", "newer"))
    assert pin_ids(answer) == small_release.best([], 20, age="25")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"age": "25"}, {"age": "25"}),
        ({"age": None}, {"age": None}),
        ({"age": "99"}, {"age": None}),
        ({"activity": 0.5}, {"age": "18", "activity": 0.5}),
        ({"activity": None}, {"age": "18"}),
        ({"taste": [0.75, -0.25]}, {"age": "18", "activity": 0.5}),
        ({"age": "25", "activity": 1, "taste": None}, {"age": "25", "activity": 1.0}),
        ({"followed_interests": ["art", "new", "cats"]}, {"age": "18"}),
    ],
)
def test_given_features_replace_those_on_record(
    api: httpx.Client,
    small_release: SmallRelease,
    features: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    answer = ask(api, user_id="reader", k=20, features=features)
    assert pin_ids(answer) == small_release.best(READER, 20, exclude=READER, **expected)


def test_a_user_without_history_is_known_all_the_same(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    answer = ask(api, user_id="lurker", k=20)
    assert pin_ids(answer) == small_release.best([], 20, age="25")
    assert not answer["cold_start"]


@pytest.mark.parametrize(
    "user_id",
    [
        "nobody",
        "Reader",
        " reader",
        "\x00",
        "\x7f\u2028",
        "€" * 512,
        "../../etc/passwd",
        '"{}\\',
        "👩‍👩‍👧",
    ],
)
def test_an_unknown_user_starts_cold(
    api: httpx.Client, small_release: SmallRelease, user_id: str
) -> None:
    answer = ask(api, user_id=user_id, k=20)
    assert pin_ids(answer) == small_release.best([], 20)
    assert (answer["cold_start"], answer["degraded"]) == (True, False)


def test_an_unknown_user_is_known_by_what_is_given(
    api: httpx.Client, small_release: SmallRelease
) -> None:
    answer = ask(
        api, user_id="nobody", k=20, history=engagements("p9", "p8"), features={"age": "25"}
    )
    assert pin_ids(answer) == small_release.best(["p9", "p8"], 20, age="25", exclude=["p9", "p8"])
    assert answer["cold_start"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", "x"])
def test_a_body_is_json_whatever_it_is_called(api: httpx.Client, content_type: str) -> None:
    body = b'{"user_id": "reader", "k": 3}'
    answer = api.post(PATH, content=body, headers={"Content-Type": content_type})
    assert answer.json()["pins"] == ask(api, user_id="reader", k=3)["pins"]


def test_the_client_asks_for_all_of_it(serving: LocalServing, small_release: SmallRelease) -> None:
    history = [HistoryEntry("p50", "save", 1), HistoryEntry("p60", "click", 2)]
    with HomefeedClient(serving.state.url, timeout_seconds=60) as client:
        answer = client.recommend(
            "reader",
            k=15,
            interests=["größe", "art"],
            exclude=["p4"],
            history=history,
            features={"age": "25"},
            include_seen=True,
            conditions=[],
        )
        assert not client.recommend("reader").degraded
    assert [pin.pin_id for pin in answer.pins] == small_release.best(
        ["p60", "p50"], 15, age="25", interests=["größe", "art"], exclude=["p4"]
    )
    assert answer.model_version == serving.state.version

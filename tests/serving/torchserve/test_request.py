import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefeed.features.config import Categorical, Embedding, Numeric
from serving.torchserve.protocol import HistoryEntry
from serving.torchserve.request import MAX_BODY_BYTES, VALID, InvalidRequest, RequestParser

FEATURES = (
    Categorical(column="age"),
    Categorical(column="topics", values=3),
    Numeric(column="activity"),
    Embedding(column="taste", dimension=2),
)
PARSER = RequestParser(FEATURES, ("art", "größe"))
CONDITIONAL = RequestParser(FEATURES, ("art", "größe"), is_conditional=True)


def error_of(body: bytes | None) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        PARSER.parse(body)
    return caught.value


@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        ({}, "user_id", "missing required field"),
        ({"user_id": ""}, "user_id", "a string of 1 to 512 characters"),
        ({"user_id": "u" * 513}, "user_id", "a string of 1 to 512 characters"),
        ({"user_id": 7}, "user_id", "Expected `str`, got `int`"),
        ({"user_id": None}, "user_id", "Expected `str`, got `null`"),
        ({"k": 0}, "k", "k must be an integer from 1 to 1000"),
        ({"k": -3}, "k", "k must be an integer from 1 to 1000"),
        ({"k": 1001}, "k", "k must be an integer from 1 to 1000"),
        ({"k": 10**30}, "k", "k must be an integer from 1 to 1000"),
        ({"k": "20"}, "k", "Expected `int`, got `str`"),
        ({"k": 2.5}, "k", "Expected `int`, got `float`"),
        ({"k": True}, "k", "Expected `int`, got `bool`"),
        ({"userid": "u"}, "userid", "is no field; there are user_id, k, interests, exclude"),
        ({"interests": "art"}, "interests", "Expected `array`, got `str`"),
        ({"interests": ["art", 1]}, "interests[1]", "Expected `str`, got `int`"),
        ({"interests": ["art", "chess"]}, "interests", "no pin has 'chess'; there are art, größe"),
        ({"interests": ["art"] * 10_001}, "interests", "a list of at most 10000 names"),
        ({"exclude": [1]}, "exclude[0]", "Expected `str`, got `int`"),
        ({"exclude": ["p"] * 10_001}, "exclude", "a list of at most 10000 pin ids"),
        ({"include_seen": "yes"}, "include_seen", "true or false"),
        ({"history": [{"pin_id": "p"}]}, "history[0].action", "missing required field"),
        ({"history": [{"pin_id": "p", "action": 1}]}, "history[0].action", "Expected `str`"),
        (
            {"history": [{"pin_id": "p", "action": "save", "when": 1}]},
            "history[0].when",
            "history must be a list",
        ),
        (
            {
                "history": [
                    {"pin_id": "p", "action": "a", "timestamp": 1},
                    {"pin_id": "q", "action": "a"},
                ]
            },
            "history[1].timestamp",
            "all or none",
        ),
        (
            {"history": [{"pin_id": "p", "action": "a", "timestamp": 1 << 63}]},
            "history[0].timestamp",
            "Expected `int` <= 9223372036854775807",
        ),
        ({"features": ["18"]}, "features", "an object of user features"),
        ({"features": {"height": 1}}, "features.height", "there are activity, age, taste, topics"),
        ({"features": {"age": 18}}, "features.age", "Expected `str | null`, got `int`"),
        (
            {"features": {"age": 18}},
            "features.age",
            "must be a string, or null where it is unknown",
        ),
        ({"features": {"topics": "art"}}, "features.topics", "must be a list of strings, or null"),
        ({"features": {"activity": [1]}}, "features.activity", "must be a float32 number, or null"),
        ({"features": {"activity": -1e39}}, "features.activity", "Expected `float` >= -3.40"),
        ({"features": {"taste": 1}}, "features.taste", "must be 2 float32 numbers, or null"),
        ({"features": {"taste": [0, 1e39]}}, "features.taste", "Expected `float` <= 3.40"),
        ({"features": {"topics": "art"}}, "features.topics", "Expected `array | null`"),
        ({"features": {"topics": [["art"]]}}, "features.topics", "Expected `str`, got `array`"),
        ({"features": {"activity": "1"}}, "features.activity", "Expected `float | null`"),
        ({"features": {"activity": True}}, "features.activity", "Expected `float | null`"),
        ({"features": {"taste": [1.0]}}, "features.taste", "of length"),
        ({"features": {"taste": [1.0, None]}}, "features.taste", "Expected `float`, got `null`"),
    ],
)
def test_errors_name_the_field_and_what_is_valid(
    request_: dict[str, Any], field: str, message: str
) -> None:
    whole = request_ if field == "user_id" else {"user_id": "u", **request_}
    error = error_of(json.dumps(whole).encode())
    assert error.body.error.field == field
    assert message in error.body.error.message
    assert error.status == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty; POST a JSON object"),
        (b"{", "must be a JSON object"),
        (b'{"user_id": "u",}', "JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b'{"user_id": "\xff"}', "is not UTF-8"),
        (b'{"user_id": "\\ud800"}', "must be a JSON object"),
        (b'{"user_id": "u", "features": {"age": NaN}}', "JSON is malformed"),
        (b'{"user_id": "u", "features": {"age":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "deep"),
    ],
)
def test_what_is_no_json_object_is_refused_as_a_body(body: bytes, message: str) -> None:
    error = error_of(body)
    assert (error.status, error.body.error.field) == (400, "body")
    assert message in error.body.error.message


def test_a_large_body_is_refused_by_its_size() -> None:
    error = error_of(b"x" * (MAX_BODY_BYTES + 1))
    assert (error.status, error.body.error.field) == (413, "body")
    assert str(MAX_BODY_BYTES) in error.body.error.message


def test_a_form_is_refused_by_its_type() -> None:
    error = error_of(None)
    assert (error.status, error.body.error.field) == (415, "body")
    assert "Content-Type: application/json" in error.body.error.message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"user_id": "u", "k": 3, "k": 3}', "k"),
        (b'{"user_id": "u", "k": 3, "\\u006b": 4}', "k"),
        (b'{"user_id": "u", "features": {"age": "18", "taste": null, "age": null}}', "age"),
        (b'{"user_id": "u", "history": [{"pin_id": "p", "action": "a", "action": "a"}]}', "action"),
    ],
)
def test_a_name_that_comes_twice_is_refused(body: bytes, field: str) -> None:
    error = error_of(body)
    assert (error.status, error.body.error.field) == (400, field)
    assert "more than once" in error.body.error.message


@pytest.mark.parametrize(
    "request_",
    [
        {"x" * 1000: 1},
        {"interests": ["x" * 1000]},
        {"features": {"x" * 1000: 1}},
        {"history": [{"pin_id": "p", "action": "a", "x" * 1000: 1}]},
    ],
)
def test_a_long_name_is_cut_in_the_error(request_: dict[str, Any]) -> None:
    error = error_of(json.dumps({"user_id": "u", **request_}).encode()).body.error
    told = error.field + error.message
    assert "xxx..." in told
    assert len(told) < 500


def test_many_interests_are_not_all_listed() -> None:
    parser = RequestParser((), [f"interest {place:03}" for place in range(80)])
    with pytest.raises(InvalidRequest, match="interest 000, .*, interest 049 and 30 more"):
        parser.parse(b'{"user_id": "u", "interests": ["x"]}')


def test_a_whole_request_is_understood() -> None:
    request = {
        "user_id": "ü",
        "k": 1000,
        "interests": ["größe"],
        "exclude": ["p1"],
        "history": [{"pin_id": "p2", "action": "save"}, {"pin_id": "p3", "action": "new"}],
        "features": {"age": None, "topics": ["art"], "activity": 3, "taste": [1, 2.5]},
        "include_seen": True,
    }
    checked = PARSER.parse(json.dumps(request).encode())
    assert checked.request.user_id == "ü"
    assert checked.request.k == 1000
    assert checked.request.interests == ("größe",)
    assert checked.request.include_seen
    assert checked.history == (HistoryEntry("p2", "save"), HistoryEntry("p3", "new"))
    assert checked.features == {"age": None, "topics": ["art"], "activity": 3.0, "taste": [1, 2.5]}


def test_a_request_needs_no_more_than_a_user() -> None:
    checked = PARSER.parse(b'{"user_id": "u"}')
    assert checked.request.k == 20
    assert (checked.features, checked.history) == ({}, None)


def test_timestamps_put_the_history_in_order() -> None:
    times = [5, 9, 7, 9]
    history = [
        {"pin_id": f"p{place}", "action": "click", "timestamp": time}
        for place, time in enumerate(times)
    ]
    checked = PARSER.parse(json.dumps({"user_id": "u", "history": history}).encode())
    assert checked.history is not None
    assert [entry.pin_id for entry in checked.history] == ["p1", "p3", "p2", "p0"]


def test_a_conditional_release_takes_the_users_interests_though_its_tower_does_not() -> None:
    features = {"followed_interests": ["art", "new"], "inferred_interests": None, "age": "18"}
    body = json.dumps({"user_id": "u", "features": features, "conditions": ["art"]}).encode()
    checked = CONDITIONAL.parse(body)
    assert (checked.features, checked.request.conditions) == (features, ("art",))
    with pytest.raises(InvalidRequest, match="is no feature; there are activity, age, taste"):
        PARSER.parse(body.replace(b'"conditions"', b'"exclude"'))
    wrong = b'{"user_id": "u", "features": {"followed_interests": "art"}}'
    with pytest.raises(InvalidRequest, match="it must be a list of strings, or null"):
        CONDITIONAL.parse(wrong)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_requests = st.fixed_dictionaries({}, optional={name: json_values for name in VALID}).map(
    lambda request: json.dumps({"user_id": "u", **request}).encode()
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()) | near_requests)
def test_no_body_raises_anything_else(body: bytes) -> None:
    for parser in (PARSER, CONDITIONAL):
        try:
            assert parser.parse(bytearray(body)).request.user_id
        except InvalidRequest as error:
            assert error.body.error.field
            assert error.body.error.message
            assert 400 <= error.status < 500

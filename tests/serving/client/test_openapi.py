"""The OpenAPI document is current, and the examples of the documents are its own."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from serving.client.client import PATH
from serving.client.openapi import ANSWER, INVALID, REQUESTS, format_document, make_document
from serving.torchserve.protocol import MAX_CONDITIONS, MAX_K, ErrorBody, Recommendations, Request
from serving.torchserve.request import MAX_FLOAT32

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "openapi.json"


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text("utf-8") == format_document(), "run `make generate`"


def test_all_fields_are_described_by_their_types() -> None:
    schemas = make_document()["components"]["schemas"]
    assert set(schemas["Request"]["properties"]) == set(Request.__struct_fields__)
    assert all(schema["description"] for schema in schemas.values())


def validator(kind: str) -> jsonschema_rs.Draft202012Validator:
    document = make_document()
    schema = {"$ref": f"#/components/schemas/{kind}", "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": ""},
        {"userid": "u"},
        {"k": MAX_K + 1},
        {"k": 2.5},
        {"interests": ["art", 1]},
        {"conditions": ["art"] * (MAX_CONDITIONS + 1)},
        {"features": {"activity": 2 * MAX_FLOAT32}},
        {"features": {"age": {}}},
        {"features": {"taste": [1, "art"]}},
        {"history": [{"pin_id": "p"}]},
        {"history": [{"pin_id": "p", "action": "a", "when": 1}]},
        {
            "history": [
                {"pin_id": "p", "action": "a", "timestamp": 1},
                {"pin_id": "q", "action": "a"},
            ]
        },
    ],
)
def test_what_the_service_always_refuses_the_schema_refuses(wrong: dict[str, Any]) -> None:
    assert not validator("Request").is_valid({"user_id": "u"} | wrong)


def test_what_the_service_takes_the_schema_takes() -> None:
    entries = [{"pin_id": "p", "action": "a"}, {"pin_id": "q", "action": "new", "timestamp": None}]
    dated = [entry | {"timestamp": 1} for entry in entries]
    features = {"age": "18", "activity": None, "taste": [0.5, 1], "topics": ["art"]}
    for history in (None, [], entries, dated):
        request = {"user_id": "ü", "history": history, "features": features, "conditions": None}
        validator("Request").validate(request)


def test_examples_fit_their_schemas() -> None:
    for request in REQUESTS.values():
        validator("Request").validate(request)
    validator("Recommendations").validate(msgspec.to_builtins(ANSWER))
    validator("ErrorBody").validate(msgspec.to_builtins(INVALID))


def test_the_reference_shows_the_examples_of_the_document() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    shown = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    answer, error = shown
    assert msgspec.json.decode(answer, type=Recommendations) == ANSWER
    assert msgspec.json.decode(error, type=ErrorBody) == INVALID


def test_the_readme_asks_with_the_examples_of_the_document() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    commands = [shlex.split(line) for line in re.findall(r"^curl .*$", text, re.MULTILINE)]
    assert [json.loads(command[4]) for command in commands] == list(REQUESTS.values())
    for command in commands:
        header = "Content-Type: application/json"
        assert command[1:4] == ["-H", header, "-d"]
        assert command[5:] == ["http://127.0.0.1:8080" + PATH]

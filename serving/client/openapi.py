"""Writes the OpenAPI document of the REST API from the protocol's types.

Run it as `python -m serving.client.openapi docs/openapi.json`. What the handler checks and a schema
cannot say stands in the descriptions.
"""

import inspect
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from serving.client.client import PATH
from serving.torchserve.protocol import (
    ErrorBody,
    ErrorDetail,
    Pin,
    Recommendations,
    Request,
    UserFeatures,
)
from serving.torchserve.request import MAX_BODY_BYTES, MAX_FLOAT32

JSON = "application/json"
SCHEMAS = "#/components/schemas/"
VERSION = "20260101T120000Z-0a1b2c3d"
SEEN = "American Beauty (1999)"
REQUESTS = {
    "plain": {"user_id": "1m_42"},
    "filtered": {
        "user_id": "1m_42",
        "k": 10,
        "interests": ["Comedy", "Drama"],
        "exclude": [SEEN],
    },
    "history": {
        "user_id": "visitor",
        "history": [
            {"pin_id": SEEN, "action": "save"},
            {"pin_id": "Jurassic Park (1993)", "action": "click"},
        ],
    },
    "conditions": {"user_id": "1m_42", "conditions": ["Comedy", "Drama"]},
}
"""Examples; the last one is for releases whose model knows conditions."""
ANSWER = Recommendations(
    pins=(Pin(SEEN, 0.731, "embedding_0"),),
    model_version=VERSION,
    index_version=VERSION,
    degraded=False,
    cold_start=False,
    user_features=UserFeatures.SNAPSHOT,
)
INVALID = ErrorBody(
    ErrorDetail("k", "Expected `int` >= 1; k must be an integer from 1 to 1000"),
)
DESCRIPTION = f"""\
A body holds at most {MAX_BODY_BYTES} bytes, and no name twice in one object. Numbers that are \
integers have neither point nor exponent. Names of interests must be those that pins of the \
release have, and the names and kinds of `features` those of its user features: which they are, \
an answer of status 400 says.

`docs/api.md` says what the fields mean."""


class ServerError(msgspec.Struct, frozen=True):
    """Body of a 5xx answer, which is TorchServe's own."""

    code: int
    type: str
    message: str


def make_document() -> dict[str, Any]:
    """The document; equal code gives equal ones."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "homefeed",
            "version": version("homefeed"),
            "description": "Pins for a user, optionally of some interests.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080"}],
        "paths": {
            PATH: {
                "post": {
                    "operationId": "recommend",
                    "summary": "Asks for pins for a user.",
                    "description": DESCRIPTION,
                    "requestBody": {"required": True, "content": _content(Request, REQUESTS)},
                    "responses": _responses(),
                }
            }
        },
        "components": {"schemas": _schemas()},
    }


def format_document() -> str:
    """The document's text."""
    return msgspec.json.format(msgspec.json.encode(make_document()), indent=2).decode() + "\n"


def _responses() -> dict[str, Any]:
    invalid, failed = _content(ErrorBody), _content(ServerError)
    return {
        "200": {
            "description": "Pins, best first.",
            "content": _content(Recommendations, {"answer": ANSWER}),
        },
        "400": {
            "description": "The body is no valid request, or none for this release.",
            "content": _content(ErrorBody, {"k": INVALID}),
        },
        "413": {
            "description": "The body is too large; far beyond the limit it is not read, and the "
            "answer has no body either.",
            "content": invalid,
        },
        "415": {"description": "The body was sent as a form.", "content": invalid},
        "500": {
            "description": "A worker died or took too long: ask once more.",
            "content": failed,
        },
        "503": {
            "description": "Too many requests are waiting, or no worker is ready: ask again after "
            "a random pause. There is no `Retry-After`.",
            "content": failed,
        },
    }


def _content(kind: type, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    """A body of JSON of one type, with examples by name."""
    content: dict[str, Any] = {"schema": {"$ref": f"{SCHEMAS}{kind.__name__}"}}
    if examples:
        values = {name: {"value": msgspec.to_builtins(each)} for name, each in examples.items()}
        content["examples"] = values
    return {JSON: content}


def _schemas() -> dict[str, Any]:
    kinds = (Request, Recommendations, ErrorBody, ServerError)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=SCHEMAS + "{name}")
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    properties = schemas["Request"]["properties"]
    properties["features"]["additionalProperties"] = _feature_value()
    entries = properties["history"]["anyOf"][0]
    entries["description"] = "All entries have a timestamp, or none has."
    entries["anyOf"] = [
        {"items": {"required": ["timestamp"], "properties": {"timestamp": {"type": "integer"}}}},
        {"items": {"properties": {"timestamp": {"type": "null"}}}},
    ]
    return schemas


def _feature_value() -> dict[str, Any]:
    """What a feature of any kind takes; a release knows more of each."""
    number = Annotated[float, Meta(ge=-MAX_FLOAT32, le=MAX_FLOAT32)]
    kinds = (number, str, list[str], list[number], None)
    return {"anyOf": [msgspec.json.schema(kind) for kind in kinds]}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(format_document(), "utf-8")

"""The OpenAPI document holds: what it allows is answered, what it forbids is refused."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.client.openapi import make_document
from serving.local import LocalServing
from tests.serving.small_release import build_small_release

API = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
INTERESTS = ("Comedy", "Drama", "Western")
"""As in the examples of the documents."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes every field: its model knows conditions."""
    folder = tmp_path_factory.mktemp("conditional")
    release = build_small_release(folder, conditional=True, interests=INTERESTS)
    with LocalServing(release.folder, folder / "work") as serving:
        yield serving.state.url


def test_the_example_of_the_reference_runs(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", API, re.MULTILINE | re.DOTALL)
    variables: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:8080", url), variables)
    found = [len(answer.pins) for answer in variables["answers"]]
    assert found == [20, 5]
    assert len(capsys.readouterr().out.splitlines()) == len(found)


def for_this_release() -> dict[str, Any]:
    """The document without what a release refuses though a schema for all of them allows it."""
    document = make_document()
    schemas = document["components"]["schemas"]
    request, entry = schemas["Request"], schemas["HistoryEntry"]
    properties = request["properties"]
    # To a schema 20.0 is an integer too; the service takes none with a point.
    k, time = properties["k"], entry["properties"]["timestamp"]["anyOf"][0]
    properties["k"] = {"enum": [k["minimum"], k["default"], k["maximum"]]}
    entry["properties"]["timestamp"] = {"enum": [None, 0, time["minimum"], time["maximum"]]}
    properties["interests"]["items"] = {"enum": list(INTERESTS)}
    properties["conditions"]["anyOf"][0]["items"] = {"enum": list(INTERESTS)}
    request["anyOf"] = [
        {"properties": {"interests": {"maxItems": 0}}},
        {"properties": {"conditions": {"anyOf": [{"maxItems": 0}, {"type": "null"}]}}},
    ]
    names = {"type": ["array", "null"], "items": {"type": "string"}}
    number = properties["features"]["additionalProperties"]["anyOf"][0]
    properties["features"] = {
        "type": "object",
        "properties": {
            "age": {"type": ["string", "null"]},
            "activity": {**number, "type": ["number", "null"]},
            "taste": {"type": ["array", "null"], "items": number, "minItems": 2, "maxItems": 2},
            "followed_interests": names,
            "inferred_interests": names,
        },
        "additionalProperties": False,
    }
    return document


def check(document: dict[str, Any], url: str, folder: Path, *options: str) -> None:
    """Has schemathesis send examples, limits of every field, and what it makes up."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(path), "--url", url]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "100"]
    command += ["--generation-deterministic", "--continue-on-failure", "--no-color"]
    command += options
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_answer_is_missing_in_the_document(url: str, tmp_path: Path) -> None:
    # TorchServe asks the handler whatever the method, as docs/api.md says. And a release may refuse
    # what the document allows, such as an interest that it lacks.
    unchecked = "unsupported_method,positive_data_acceptance"
    check(make_document(), url, tmp_path, "--exclude-checks", unchecked)


def test_what_fits_the_release_is_answered(url: str, tmp_path: Path) -> None:
    check(for_this_release(), url, tmp_path, "--mode", "positive")

"""The reference pages in docs/ say what the code does."""

import json
import re
from pathlib import Path

import httpx
import msgspec
import pytest

from homefeed.cli.reference import format_reference
from homefeed.evaluation.markdown import fill_parts
from homefeed.evaluation.results import RESULTS_FOLDER, make_measured_table
from serving.client.client import PATH
from serving.torchserve.protocol import Recommendations, Request
from tests.cli.conftest import Served

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
API = (DOCS / "api.md").read_text("utf-8")


def test_recipe_reference_is_up_to_date() -> None:
    written = (DOCS / "recipes.md").read_text("utf-8")
    assert written == format_reference(), "run `make generate`"


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda path: path.name
)
def test_tables_are_those_of_the_results(path: Path) -> None:
    text = path.read_text("utf-8")
    folder = ROOT / RESULTS_FOLDER
    made = fill_parts(text, path.name, lambda part: make_measured_table(part, folder))
    assert made == text, "run `make generate`"


def test_api_reference_has_every_field() -> None:
    table = re.findall(r"^\| `([a-z_]+)` \|", API, re.MULTILINE)
    assert table == [field.name for field in msgspec.structs.fields(Request)]


def test_api_examples_fit_the_protocol(served: Served) -> None:
    answer, error = re.findall(r"^```json\n(.*?)^```$", API, re.MULTILINE | re.DOTALL)
    assert set(json.loads(answer)) == {
        each.name for each in msgspec.structs.fields(Recommendations)
    }
    msgspec.json.decode(answer, type=Recommendations)
    wrong = {"user_id": "1", "k": 0}
    real = httpx.post(served.state.url + PATH, json=wrong, trust_env=False)
    assert real.json() == json.loads(error)

"""What the README tells people to type works."""

import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.config import from_yaml
from homefeed.dataset.build import build_dataset
from homefeed.events.importing import import_events
from homefeed.recipe import Recipe, read_recipe
from serving.client.client import PATH
from tests.cli.conftest import Served
from tests.cli.homefeed_process import run_homefeed

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
LOCAL = "http://127.0.0.1:8080"
DAY = 86_400_000


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_commands_are_those_of_the_makefile() -> None:
    assert blocks("sh")[0].splitlines() == ["make demo", "make test"]
    assert re.search(
        r"^demo:.*\n\t@\$\(BIN\)/homefeed demo$", (ROOT / "Makefile").read_text(), re.M
    )


def test_what_was_measured_is_the_recipe_of_the_demo() -> None:
    found = re.search(r"recipe `(.+?)` with seed (\d+); `make (\w+)`", README)
    assert found
    assert read_recipe(found[1]).seed == int(found[2])
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(
        rf"^{found[3]}:.*\n.*\n\t@.*demo .*--results docs/results/demo\.json$", makefile, re.M
    )


def test_the_recipe_reads_a_log_with_columns_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = blocks("yaml")
    recipe = from_yaml(text, Recipe, "README.md")
    write_log(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    manifest = import_events(recipe.events, tmp_path / "events")
    assert manifest.window is not None
    assert manifest.window.start == 1_700_000_000
    build_dataset(
        tmp_path / "events", recipe.dataset, recipe.features, recipe.seed, tmp_path / "dataset"
    )
    pins = pq.read_table(tmp_path / "dataset" / "pins.parquet").to_pylist()
    assert pins[0]["pin_id"] == "item 0"
    assert pins[0]["title"] == "Item number 0"
    assert pins[0]["interests"] == ["art"]


def write_log(folder: Path) -> None:
    """A log as the README's recipe describes it."""
    (folder / "engagements").mkdir(parents=True)
    generator = np.random.default_rng(0)
    members, items = generator.integers(20, size=400), generator.integers(30, size=400)
    engagements = {
        "member": [f"member {member}" for member in members],
        "item": [f"item {item}" for item in items],
        "event": generator.choice(["click", "save"], 400),
        "at": 1_700_000_000_000 + DAY * np.arange(400),
    }
    pins = {
        "item": [f"item {item}" for item in range(30)],
        "topics": [["art"] if item % 2 == 0 else ["cats", "art"] for item in range(30)],
        "name": [f"Item number {item}" for item in range(30)],
        "price": generator.random(30),
    }
    users = {"member": [f"member {member}" for member in range(20)], "country": ["DE", "FR"] * 10}
    pq.write_table(pa.table(engagements), folder / "engagements" / "part-0.parquet")
    pq.write_table(pa.table(pins), folder / "pins.parquet")
    pq.write_table(pa.table(users), folder / "users.parquet")


def test_the_query_command_is_answered(served: Served) -> None:
    (line,) = [line for text in blocks("sh") for line in text.splitlines() if " query " in line]
    program, *arguments = shlex.split(line.replace("Comedy", "art"))
    assert program == ".venv/bin/homefeed"
    finished = run_homefeed(*arguments, "--work", served.work)
    assert finished.returncode == 0, finished.stderr


def test_the_curl_commands_are_answered(served: Served) -> None:
    lines = [line for text in blocks("sh") for line in text.splitlines() if "curl" in line]
    answers = []
    for line in lines:
        line = line.replace("Comedy", "art").replace("Drama", "cats")
        _curl, _h, header, _d, body, url = shlex.split(line)
        assert url == LOCAL + PATH
        headers = dict([header.split(": ")])
        url = url.replace(LOCAL, served.state.url)
        answers.append(httpx.post(url, content=body, headers=headers, trust_env=False).json())
    plain, filtered, history, conditions = answers
    assert [len(answer["pins"]) for answer in (plain, filtered, history)] == [20, 10, 20]
    # This model was trained without conditions; tests/serving asks one that knows them.
    assert conditions["error"]["field"] == "conditions"


def test_the_python_example_runs(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    variables: dict[str, Any] = {}
    exec(example.replace(LOCAL, served.state.url).replace("Comedy", "art"), variables)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [pin_id for pin_id, _ in printed] == [pin.pin_id for pin in variables["answer"].pins]
    assert len(printed) == 10


def test_links_lead_to_files() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document} links to {target}"


def test_folders_of_the_table_exist() -> None:
    folders = re.findall(r"^\| `([a-z_]+)/` \|", README, re.MULTILINE)
    assert len(folders) >= 8
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []

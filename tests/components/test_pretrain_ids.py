from pathlib import Path
from typing import Any

import msgspec
import pytest

from components.publish_ids.component import publish_ids
from components.read_id_recipe.component import read_id_recipe
from homefeed.config import from_yaml, to_yaml
from homefeed.events.config import EventsConfig, Tables
from homefeed.id_embeddings.config import IdRecipe
from tests.id_embeddings.logs import id_recipe


def read(recipe: str) -> tuple[str, list[dict[str, str]]]:
    """The whole recipe as YAML, and each source's section and fingerprint."""
    component: Any = read_id_recipe
    return component.python_func(recipe)


def test_a_recipe_is_handed_on_whole_and_source_by_source(
    tiny_log: EventsConfig, tmp_path: Path
) -> None:
    copy = msgspec.structs.replace(tiny_log, max_reject_share=0.5)
    recipe = id_recipe(tiny_log, copy)
    whole, sources = read(to_yaml(recipe))
    assert from_yaml(whole, IdRecipe, "the recipe") == recipe
    assert [from_yaml(each["events"], EventsConfig, "events") for each in sources] == [
        tiny_log,
        copy,
    ]
    assert all(len(each["fingerprint"]) == 64 for each in sources)


def test_a_change_of_a_sources_data_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user_id,pin_id,timestamp\na,b,1700000000\n")
    text = to_yaml(id_recipe(EventsConfig(input=Tables(format="csv", engagements=str(log)))))
    before = read(text)
    assert read(text) == before
    log.write_text("user_id,pin_id,timestamp\na,b,1700000000\nc,d,1700000001\n")
    (changed,) = read(text)[1]
    assert changed["fingerprint"] != before[1][0]["fingerprint"]


def test_a_shipped_recipe_is_known_by_its_name() -> None:
    whole, sources = read("movielens")
    assert from_yaml(whole, IdRecipe, "the recipe").name == "movielens"
    assert len(sources) == 2


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("dimension: 16", "dimension: 0", "the recipe: pretraining.dimension=0 must be"),
        ("source: tables", "source: table", "'table' - at `$.sources[0].events.input.source`"),
        ("end: 2023-11-28", "end: 2023-11-01", "must lie before window.end=2023-11-01"),
        ("engagements.parquet", "nowhere.parquet", "nowhere.parquet"),
    ],
)
def test_a_bad_recipe_is_refused_before_anything_runs(
    tiny_log: EventsConfig, capfd: pytest.CaptureFixture[str], good: str, bad: str, said: str
) -> None:
    text = to_yaml(id_recipe(tiny_log))
    assert good in text
    with pytest.raises(SystemExit):
        read(text.replace(good, bad))
    output = capfd.readouterr()
    assert output.out.startswith("read_id_recipe failed: ")
    assert said in output.out
    assert "Traceback" not in output.err


def test_without_a_store_nothing_is_published(capfd: pytest.CaptureFixture[str]) -> None:
    component: Any = publish_ids
    assert component.python_func(id_embeddings=None, store="") == ""
    assert "not published" in capfd.readouterr().err

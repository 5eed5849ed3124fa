from pathlib import Path
from typing import Any

import msgspec
import pytest

from components.read_recipe.component import read_recipe
from homefeed.config import from_yaml, to_yaml
from homefeed.evaluation.config import EvaluationConfig
from homefeed.events.config import EventsConfig, Tables
from homefeed.features.config import FeaturesConfig
from homefeed.recipe import Recipe
from homefeed.recipe import read_recipe as read_shipped_recipe
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.ids_config import IdsConfig
from tests.data_fixtures import TINY_FEATURES


def read(recipe: str, store: str = "") -> dict[str, Any]:
    """The component's outputs by name."""
    component: Any = read_recipe
    return dict(
        zip(component.component_spec.outputs, component.python_func(recipe, store), strict=True)
    )


@pytest.fixture
def recipe(tiny_log: EventsConfig) -> Recipe:
    return Recipe(name="tiny", seed=5, events=tiny_log, features=TINY_FEATURES)


def test_each_section_is_handed_on_whole(recipe: Recipe) -> None:
    sections = read(to_yaml(recipe))
    assert from_yaml(sections["events"], EventsConfig, "events") == recipe.events
    assert from_yaml(sections["features"], FeaturesConfig, "features") == recipe.features
    assert from_yaml(sections["training"], TrainingConfig, "training") == recipe.training
    assert from_yaml(sections["evaluation"], EvaluationConfig, "evaluation") == recipe.evaluation
    assert sections["seed"] == 5


def test_a_shipped_recipe_is_known_by_its_name() -> None:
    assert read("ml-100k") == read(to_yaml(read_shipped_recipe("ml-100k")))


def test_a_change_is_seen_in_its_own_section_alone(recipe: Recipe) -> None:
    changed = msgspec.structs.replace(recipe, evaluation=EvaluationConfig(cutoffs=(5,)))
    before, after = read(to_yaml(recipe)), read(to_yaml(changed))
    assert [name for name in before if before[name] != after[name]] == ["evaluation"]


def test_a_change_of_the_source_is_seen(recipe: Recipe, tmp_path: Path) -> None:
    def fingerprint() -> str:
        events = EventsConfig(input=Tables(format="csv", engagements=str(log)))
        return read(to_yaml(msgspec.structs.replace(recipe, events=events)))["source_fingerprint"]

    log = tmp_path / "log.csv"
    log.write_text("user_id,pin_id,timestamp\na,b,1700000000\n")
    before = fingerprint()
    assert fingerprint() == before
    log.write_text("user_id,pin_id,timestamp\na,b,1700000000\nc,d,1700000001\n")
    assert fingerprint() != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: mine\nseed: 1\n", "the recipe: Object missing required field `events`"),
        ("name: mine\ntrainnig: {}\n", "trainnig"),
        ("events: {input: {source: movielens, dataset: ml-2m}}\nname: x\n", "$.events.input"),
        ("ml-2m", "no recipe 'ml-2m': shipped ones are ml-100k, ml-1m"),
        ("nowhere.yaml", "recipe nowhere.yaml does not exist"),
    ],
)
def test_a_bad_recipe_is_refused_by_the_place(
    text: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(text)
    output = capfd.readouterr()
    assert output.out.startswith("read_recipe failed: ")
    assert said in output.out
    assert "Traceback" not in output.err


def test_a_missing_source_is_refused_before_anything_runs(
    recipe: Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    tables = msgspec.structs.replace(recipe.events.input, engagements="/nowhere/*.parquet")
    events = msgspec.structs.replace(recipe.events, input=tables)
    with pytest.raises(SystemExit):
        read(to_yaml(msgspec.structs.replace(recipe, events=events)))
    assert "/nowhere/*.parquet" in capfd.readouterr().out


def test_id_embeddings_that_could_come_from_nowhere_are_refused_before_anything_runs(
    recipe: Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    text = to_yaml(msgspec.structs.replace(recipe, towers=TowersConfig(ids=IdsConfig())))
    with pytest.raises(SystemExit):
        read(text)
    said = capfd.readouterr().out
    assert said.startswith("read_recipe failed: towers.ids asks for ID embeddings")
    assert "give the run a store that pipeline pretrain_ids has published to" in said
    assert "ids:" in read(text, "s3://bucket/homefeed")["towers"]

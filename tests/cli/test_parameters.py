from pathlib import Path

import pytest

from homefeed.cli.parameters import MAX_BYTES, PARSE, READERS, read_parameters
from homefeed.config import from_yaml
from homefeed.events.config import EventsConfig
from homefeed.id_embeddings.config import IdRecipe
from homefeed.id_embeddings.recipe import read_id_recipe
from homefeed.recipe import Recipe, read_recipe
from pipelines.compile import PIPELINES, build_pipeline
from tests.pipelines.tiny_recipe import write_recipe

PIPELINES_FOLDER = Path(__file__).parents[2] / "pipelines"
RECIPES, ID_RECIPES = PIPELINES_FOLDER / "recipes", PIPELINES_FOLDER / "id_recipes"


def read(*given: str, recipe: str | None = "ml-100k", name: str = "train_and_release") -> dict:
    return read_parameters(name, build_pipeline(name), given, recipe)


def test_values_have_the_types_of_the_pipeline() -> None:
    values = read("pins_per_shard=1000", "store=s3://bucket/path?a=b", "webhook=")
    assert values == {
        "recipe": "ml-100k",
        "pins_per_shard": 1000,
        "store": "s3://bucket/path?a=b",
        "webhook": "",
    }


def test_a_deployment_is_checked_before_it_is_sent() -> None:
    given = "{smoke_test: {k: 5}}"
    assert read(f"deploy={given}")["deploy"] == given
    assert read("deploy=")["deploy"] == ""
    with pytest.raises(ValueError, match="--param deploy: .*unknown field `namespce`"):
        read("deploy={to: {kind: cluster, namespce: mine}}")


def test_a_recipe_of_ones_own_is_sent_whole(tiny_log: EventsConfig, tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "tiny.yaml", tiny_log)
    text = read(recipe=path)["recipe"]
    assert from_yaml(text, Recipe, "sent") == read_recipe(path)


def test_every_parameter_can_be_given() -> None:
    pipelines = [build_pipeline(name).component_spec for name in PIPELINES]
    kinds = {each.type for pipeline in pipelines for each in (pipeline.inputs or {}).values()}
    assert kinds == set(PARSE)


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_parameters_are_as_large_as_kfp_takes_them_and_no_larger(letter: str) -> None:
    around = len('{"recipe":"ml-100k","store":""}')
    num_letters = (MAX_BYTES - around) // len(letter.encode())
    assert read(f"store={letter * num_letters}")["store"] == letter * num_letters
    with pytest.raises(ValueError) as error:
        read(f"store={letter * (num_letters + 1)}")
    taken = around + (num_letters + 1) * len(letter.encode())
    assert str(error.value).startswith(
        f"the parameters of train_and_release take {taken} bytes as JSON, of which the recipe "
        f"takes 9; KFP takes {MAX_BYTES} in all: "
    )


def test_every_pipeline_says_how_its_recipe_is_read() -> None:
    assert sorted(READERS) == sorted(PIPELINES)
    assert read(recipe="movielens", name="pretrain_ids") == {"recipe": "movielens"}


def test_an_id_recipe_of_ones_own_is_sent_whole(tmp_path: Path) -> None:
    path = tmp_path / "ids.yaml"
    path.write_bytes((ID_RECIPES / "movielens.yaml").read_bytes())
    text = read(recipe=str(path), name="pretrain_ids")["recipe"]
    # In a cluster the step reads it in the same way, where there is no such file.
    path.unlink()
    assert read_id_recipe(text) == from_yaml(text, IdRecipe, "sent")
    assert read_id_recipe(text) == read_id_recipe("movielens")


@pytest.mark.parametrize(
    ("name", "recipe", "said"),
    [
        ("pretrain_ids", "ml-1m", "no recipe 'ml-1m' of ID pre-training: shipped ones are"),
        ("pretrain_ids", str(RECIPES / "ml-1m.yaml"), "ml-1m.yaml: Object contains unknown field"),
        ("train_and_release", "movielens", "no recipe 'movielens': shipped ones are"),
        ("train_and_release", str(ID_RECIPES / "movielens.yaml"), "movielens.yaml: Object"),
    ],
)
def test_each_kind_of_recipe_is_for_its_own_pipelines(name: str, recipe: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        read(recipe=recipe, name=name)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("store",), "--param 'store' is not of the form name=value"),
        (("shop=x",), "has no parameter 'shop': it takes recipe, "),
        (("store=a", "store=b"), "is given its parameter 'store' twice"),
        (("recipe=ml-1m",), "is given its parameter 'recipe' twice"),
        (("pins_per_shard=many",), "pins_per_shard=many: pins_per_shard is a whole number"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(given: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError) as error:
        read(*given)
    assert said in str(error.value)


def test_what_is_missing_is_named_as_it_is_given() -> None:
    with pytest.raises(ValueError) as error:
        read(recipe=None, name="refresh_corpus")
    assert str(error.value) == "refresh_corpus also needs --recipe NAME|FILE and --param store=…"


@pytest.mark.parametrize("recipe", ["ml-2m", "nowhere.yaml"])
def test_a_recipe_that_is_none_is_refused(recipe: str) -> None:
    with pytest.raises(ValueError, match=f"recipe .*{recipe}"):
        read(recipe=recipe)

from pathlib import Path

import pytest

import pipelines
from homefeed.config import from_yaml, to_yaml
from homefeed.contracts import iso
from homefeed.events.config import EventsConfig
from homefeed.id_embeddings.config import IdRecipe
from homefeed.id_embeddings.recipe import read_id_recipe
from tests.id_embeddings.logs import id_recipe

GOOD = """
name: mine
window: {start: 2000-01-01T00:00:00Z, end: 2000-08-01T00:00:00Z}
sources:
  - events: {input: {source: movielens, dataset: ml-1m}}
"""


def test_a_shipped_recipe_is_read_by_its_name() -> None:
    folder = Path(pipelines.__file__).parent / "id_recipes"
    names = [path.stem for path in folder.glob("*.yaml")]
    assert names
    for name in names:
        assert read_id_recipe(name).name == name


def test_the_shipped_sources_do_not_share_users_who_are_not_the_same() -> None:
    namespaces = [source.user_namespace for source in read_id_recipe("movielens").sources]
    assert len(set(namespaces)) == len(namespaces)


def test_a_recipe_survives_being_handed_on_as_yaml(tiny_log: EventsConfig, tmp_path: Path) -> None:
    recipe = id_recipe(tiny_log)
    text = to_yaml(recipe)
    (tmp_path / "mine.yaml").write_text(text)
    assert read_id_recipe(text) == read_id_recipe(str(tmp_path / "mine.yaml")) == recipe


def test_instants_are_read_to_the_second_in_their_own_zone() -> None:
    text = GOOD.replace("2000-08-01T00:00:00Z", "2000-08-01T02:30:05+02:00")
    assert iso(read_id_recipe(text).window.seconds.end) == "2000-08-01T00:30:05Z"


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("start: 2000-01-01", "start: 2000-08-01", r"window\.start=2000-08-01.* must lie before"),
        ("2000-08-01T00:00:00Z", "1999-08-01T00:00:00Z", r"window\.end=1999-08-01"),
        ("2000-08-01T00:00:00Z", "2000-08-01", r"Expected `datetime`, got `date`.*window\.end"),
        ("2000-08-01T00:00:00Z", "2000-08-01 00:00:00", r"timezone component.*window\.end"),
        ("source: movielens", "source: movielense", r"'movielense'.*sources\[0\]\.events\.input"),
        ("ml-1m", "ml-2m", r"'ml-2m'.*sources\[0\]\.events\.input\.dataset"),
        ("name: mine", "name: mine\npretraining: {dimension: 0}", r"dimension=0 must be a pos"),
        ("name: mine", "name: mine\npretraining: {dimension: -8}", r"dimension=-8 must be a pos"),
        ("name: mine", "name: mine\npretraining: {dimension: 10}", r"dimension=10 .*multiple of 4"),
        ("name: mine", "name: mine\nseed: -1", r"`int` >= 0.*seed"),
        ("name: mine", "name: mine\npretraining: {epochs: 3}", r"unknown field `epochs`"),
        ("name: mine", "name: mine\npretraining: {validation_share: 1}", r"validation_share=1"),
        ("name: mine", "name: mine\npretraining: {sharding: by_row}", r"'by_row'.*sharding"),
    ],
)
def test_a_bad_recipe_is_refused_by_the_place(good: str, bad: str, said: str) -> None:
    assert from_yaml(GOOD, IdRecipe, "good")
    with pytest.raises(ValueError, match=said):
        read_id_recipe(GOOD.replace(good, bad))


def test_a_recipe_without_sources_or_with_one_twice_is_refused(tiny_log: EventsConfig) -> None:
    with pytest.raises(ValueError, match=r"length >= 1.*sources"):
        read_id_recipe(GOOD[: GOOD.index("sources:")] + "sources: []\n")
    with pytest.raises(ValueError, match="two sources have the same events section"):
        id_recipe(tiny_log, tiny_log)


def test_an_unknown_recipe_says_what_there_is() -> None:
    with pytest.raises(ValueError, match="no recipe 'ml-2m' of ID pre-training.* movielens"):
        read_id_recipe("ml-2m")
    with pytest.raises(ValueError, match=r"nowhere\.yaml does not exist"):
        read_id_recipe("nowhere.yaml")

import pytest

from homefeed.config import from_yaml, to_yaml
from homefeed.features.config import (
    Categorical,
    Embedding,
    Feature,
    FeaturesConfig,
    HistoryConfig,
    Numeric,
    StatisticsConfig,
)

WHOLE = """\
user:
  - {kind: categorical, column: age, min_count: 5}
  - {kind: embedding, column: taste, dimension: 16}
pin:
  - {kind: categorical, column: interests, values: 3}
  - {kind: numeric, column: width, transform: log1p}
history: {length: 50}
statistics: {half_life_days: [0.5, 7, 0], action_weights: {save: 4.0}}
"""


def test_a_section_of_a_recipe_is_understood() -> None:
    config = from_yaml(WHOLE, FeaturesConfig, "recipe")
    assert config == FeaturesConfig(
        user=(Categorical(column="age", min_count=5), Embedding(column="taste", dimension=16)),
        pin=(Categorical(column="interests", values=3), Numeric(column="width", transform="log1p")),
        history=HistoryConfig(length=50),
        statistics=StatisticsConfig(half_life_days=(0.5, 7.0, 0.0), action_weights={"save": 4.0}),
    )
    assert from_yaml(to_yaml(config), FeaturesConfig, "again") == config


def test_statistics_are_named_by_their_half_life() -> None:
    config = StatisticsConfig(half_life_days=(0.5, 7.0, 30.0, 0.0))
    assert config.columns == (
        "engagements_0.5d",
        "engagements_7d",
        "engagements_30d",
        "engagements_all",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user: [{kind: categorical, column: age, values: 0}]", "values=0 of 'age' must be >= 1"),
        ("user: [{kind: categorical, column: age, min_count: 0}]", "min_count=0 of 'age'"),
        ("pin: [{kind: embedding, column: image, dimension: 0}]", "dimension=0 of 'image'"),
        ("pin: [{kind: numeric, column: width, transform: sqrt}]", "Invalid enum value 'sqrt'"),
        ("pin: [{kind: picture, column: image}]", "Invalid value 'picture'"),
        ("pin: [{column: image}]", "missing required field `kind`"),
        ("history: {length: 0}", "history.length=0 must be >= 1"),
        ("statistics: {half_life_days: [7, -1]}", r"\(7.0, -1.0\): every one must be >= 0"),
        (
            "statistics: {half_life_days: [1, 7, 1.0]}",
            r"\(1.0, 7.0, 1.0\) makes \['engagements_1d'\] more than once",
        ),
        ("pins: []", "unknown field `pins`"),
    ],
)
def test_what_cannot_be_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"recipe: .*{message}"):
        from_yaml(text, FeaturesConfig, "recipe")


def test_a_column_is_one_feature_of_a_side() -> None:
    age: tuple[Feature, ...] = (Categorical(column="age"), Numeric(column="age"))
    with pytest.raises(ValueError, match=r"features.user names \['age'\] more than once"):
        FeaturesConfig(user=age)
    with pytest.raises(ValueError, match=r"features.pin names \['age'\] more than once"):
        FeaturesConfig(pin=age)
    FeaturesConfig(user=age[:1], pin=age[1:])


@pytest.mark.parametrize(
    ("side", "column"),
    [("user", "history"), ("user", "history_actions"), ("user", "numeric"), ("pin", "numeric")],
)
def test_the_towers_own_inputs_are_no_features(side: str, column: str) -> None:
    text = f"{side}: [{{kind: categorical, column: {column}}}]"
    message = rf"features.{side} names \['{column}'\].*events.input.{side}_columns"
    with pytest.raises(ValueError, match=message):
        from_yaml(text, FeaturesConfig, "recipe")


def test_a_pin_has_no_history() -> None:
    FeaturesConfig(pin=(Categorical(column="history"),))

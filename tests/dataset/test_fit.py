from typing import Any

import ibis
import numpy as np
import pytest

from homefeed.dataset.fit import fit_encoder
from homefeed.features.config import Categorical, FeaturesConfig, Numeric, StatisticsConfig
from homefeed.features.encoder import FeatureEncoder, Moments, transformed

CONFIG = FeaturesConfig(
    user=(Categorical(column="age"), Numeric(column="income", transform="log1p")),
    pin=(
        Categorical(column="pin_id", min_count=2),
        Categorical(column="interests", values=3),
        Numeric(column="price"),
        Numeric(column="constant"),
        Numeric(column="unknown"),
    ),
    statistics=StatisticsConfig(half_life_days=(1.0, 0.0)),
)
# Pin 4 and user 3 are not engaged with in training.
PINS = {
    "pin_index": [0, 1, 2, 3, 4],
    "pin_id": ["a", "b", "c", "ç", "e"],
    "interests": [["x", "y"], ["y"], [], None, ["z"]],
    "price": [1.0, 2.0, None, 6.0, 1000.0],
    "constant": [0.1] * 5,
    "unknown": [None] * 4 + [1.0],
}
USERS = {
    "user_index": [0, 1, 2, 3],
    "age": ["25", "18", None, "99"],
    "income": [0.0, -5.0, 99.0, 1.0],
}
ENGAGEMENTS = {
    "user_index": [0, 0, 1, 1, 2, 2, 2],
    "pin_index": [1, 1, 3, 3, 0, 2, 3],
    "pin_id": ["b", "b", "ç", "ç", "a", "c", "ç"],
    "action": ["save", "click", "click", "save", "click", "closeup", "click"],
}
EXAMPLES = {"engagements_1d": [0.0, 0.5, 1.5], "engagements_all": [0.0, 1.0, 7.0]}


@pytest.fixture(scope="module")
def encoder() -> FeatureEncoder:
    kinds = ibis.schema({"unknown": "float64"})
    pins = ibis.memtable(PINS).cast(kinds)
    return fit_encoder(
        ibis.memtable(ENGAGEMENTS), ibis.memtable(EXAMPLES), pins, ibis.memtable(USERS), CONFIG
    )


def test_vocabularies_are_ordered_by_count_then_value(encoder: FeatureEncoder) -> None:
    assert encoder.vocabularies["pin_id"].values == ("ç", "b")  # a and c have one event each
    assert encoder.vocabularies["interests"].values == ("y", "x")
    assert encoder.vocabularies["age"].values == ("18", "25")
    assert encoder.actions.values == ("click", "save", "closeup")


def test_moments_are_those_of_numpy_after_the_transform(encoder: FeatureEncoder) -> None:
    def moments(values: list[float], feature: Numeric) -> Moments:
        after = transformed(feature, np.array(values))
        near: Any = pytest.approx
        return Moments(near(after.mean()), near(after.std()))

    log = Numeric(column="", transform="log1p")
    assert encoder.pin_moments == {
        "price": moments([1.0, 2.0, 6.0], Numeric(column="")),
        "constant": Moments(0.1, 1.0),
        "unknown": Moments(0.0, 1.0),
        "engagements_1d": moments(EXAMPLES["engagements_1d"], log),
        "engagements_all": moments(EXAMPLES["engagements_all"], log),
    }
    assert encoder.user_moments == {"income": moments([0.0, -5.0, 99.0], log)}


def test_the_history_has_a_vocabulary_without_a_pin_feature() -> None:
    config = FeaturesConfig(statistics=StatisticsConfig(half_life_days=()))
    engagements, examples, pins, users = map(ibis.memtable, (ENGAGEMENTS, EXAMPLES, PINS, USERS))
    encoder = fit_encoder(engagements, examples, pins, users, config)
    assert encoder.vocabularies.keys() == {"pin_id"}
    assert encoder.vocabularies["pin_id"].values == ("ç", "b", "a", "c")


def test_a_column_of_both_sides_has_one_vocabulary_of_both() -> None:
    config = FeaturesConfig(
        user=(Categorical(column="country"),),
        pin=(Categorical(column="country", values=2),),
        statistics=StatisticsConfig(half_life_days=()),
    )
    pins = ibis.memtable(PINS | {"country": [["a"], ["b", "b"], ["b"], ["c"], ["d"]]})
    users = ibis.memtable(USERS | {"country": ["c", "c", "e", "f"]})
    encoder = fit_encoder(ibis.memtable(ENGAGEMENTS), ibis.memtable(EXAMPLES), pins, users, config)
    assert encoder.vocabularies["country"].values == ("b", "c", "a", "e")
    with pytest.raises(ValueError, match="'country' has min_count=1 in features.user and min_coun"):
        FeaturesConfig(
            user=(Categorical(column="country"),),
            pin=(Categorical(column="country", min_count=2),),
        )

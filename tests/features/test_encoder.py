from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homefeed.features.config import (
    Categorical,
    Embedding,
    Feature,
    FeaturesConfig,
    HistoryConfig,
    Numeric,
    StatisticsConfig,
)
from homefeed.features.encoder import (
    FIRST_ROW,
    OUT_OF_VOCABULARY_ROW,
    PADDING_ROW,
    FeatureEncoder,
    HistoryItem,
    Moments,
    TowerInputs,
    Vocabulary,
    transformed,
)

ENCODER = FeatureEncoder(
    config=FeaturesConfig(
        user=(Categorical(column="age"), Numeric(column="activity")),
        pin=(
            Categorical(column="interests", values=3),
            Numeric(column="width"),
            Embedding(column="image", dimension=2),
        ),
        history=HistoryConfig(length=3),
        statistics=StatisticsConfig(half_life_days=(7.0, 0.0)),
    ),
    actions=Vocabulary(("click", "save")),
    vocabularies={
        "pin_id": Vocabulary(("p0", "p1")),
        "age": Vocabulary(("18", "25")),
        "interests": Vocabulary(("art", "cats")),
    },
    pin_moments={
        "width": Moments(10.0, 4.0),
        "engagements_7d": Moments(1.0, 2.0),
        "engagements_all": Moments(2.0, 1.0),
    },
    user_moments={"activity": Moments(100.0, 50.0)},
)
PIN = {
    "interests": ["art"],
    "width": 10.0,
    "image": None,
    "engagements_7d": 0.0,
    "engagements_all": 0.0,
}


def encode_pins(**columns: list[Any]) -> dict[str, np.ndarray]:
    """Encodes pins of which only some columns matter."""
    num_pins = len(next(iter(columns.values())))
    return ENCODER.encode_pins({name: [value] * num_pins for name, value in PIN.items()} | columns)


def encode_users(
    histories: list[list[HistoryItem]], age: Any = "18", activity: Any = 100.0
) -> dict[str, np.ndarray]:
    columns = {"age": [age] * len(histories), "activity": [activity] * len(histories)}
    return ENCODER.encode_users(columns, histories)


def items(*pin_ids: str, action: str = "click") -> list[HistoryItem]:
    return [HistoryItem(pin_id, action, 0) for pin_id in pin_ids]


def test_a_vocabulary_keeps_two_rows_for_what_it_does_not_hold() -> None:
    vocabulary = Vocabulary(("b", "a"))
    assert vocabulary.rows == {"b": FIRST_ROW, "a": FIRST_ROW + 1}
    assert len(vocabulary) == 4
    assert (PADDING_ROW, OUT_OF_VOCABULARY_ROW) == (0, 1)


def test_a_single_value_is_known_or_unknown() -> None:
    ages = [encode_users([[]], age=age)["age"].tolist() for age in ("18", "25", "99", "", None)]
    assert ages == [[[2]], [[3]], [[1]], [[1]], [[1]]]


def test_several_values_are_cut_and_padded_and_none_is_all_padding() -> None:
    interests: list[Any] = [
        ["cats"],
        ["art", "cats", "new", "art"],
        [],
        None,
        "art",
        np.array(["cats", "art"], object),
    ]
    tensor = encode_pins(interests=interests)["interests"]
    assert tensor.dtype == np.int64
    assert tensor.tolist() == [[3, 0, 0], [2, 3, 1], [0, 0, 0], [0, 0, 0], [2, 0, 0], [3, 2, 0]]


def test_numbers_are_standardised_and_a_missing_one_is_the_mean() -> None:
    tensors = encode_pins(
        width=[18.0, 2, None, float("nan")],
        engagements_7d=[np.e**3 - 1, 0.0, None, -5.0],
        engagements_all=[0.0, np.e**2 - 1, None, float("nan")],
    )
    assert tensors["numeric"].dtype == np.float32
    expected = [[2.0, 1.0, -2.0], [-2.0, -0.5, 0.0], [0.0, 0.0, 0.0], [0.0, -0.5, 0.0]]
    np.testing.assert_allclose(tensors["numeric"], expected, atol=1e-6)


def test_an_infinite_number_is_the_mean_too() -> None:
    numeric = encode_pins(width=[float("inf"), float("-inf"), None])["numeric"]
    assert np.isfinite(numeric).all()
    assert (numeric[0] == numeric[2]).all()


def test_statistics_alone_are_the_last_numbers_of_the_pins() -> None:
    statistics = {"engagements_7d": [3.0, 0.5], "engagements_all": [70.0, None]}
    tensors = encode_pins(width=[1.0, 2.0], **statistics)
    alone = ENCODER.standardise_statistics(statistics)
    assert alone.tolist() == tensors["numeric"][:, 1:].tolist()


def test_an_embedding_is_taken_as_it_is_and_a_missing_one_is_zero() -> None:
    tensor = encode_pins(image=[[0.5, -1.0], None, np.array([1.0, 2.0])])["image"]
    assert tensor.dtype == np.float32
    assert tensor.tolist() == [[0.5, -1.0], [0.0, 0.0], [1.0, 2.0]]


def test_histories_keep_the_most_recent_and_end_in_padding() -> None:
    tensors = encode_users(
        [items("p1", "p0", "new", "p1"), items("p0", action="save"), items("p0", action="hide"), []]
    )
    assert tensors["history"].tolist() == [[3, 2, 1], [2, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert tensors["history_actions"].tolist() == [[2, 2, 2], [3, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_the_first_number_of_a_user_is_the_length_of_the_history() -> None:
    tensors = encode_users([[], items("new"), items("p0", "p1", "p0", "p1")], activity=150.0)
    assert tensors["numeric"].dtype == np.float32
    expected = [[0.0, 1.0], [np.log(2) / np.log(4), 1.0], [1.0, 1.0]]
    np.testing.assert_allclose(tensors["numeric"], expected, atol=1e-6)


def test_a_user_without_features_still_has_a_length() -> None:
    encoder = FeatureEncoder(
        config=FeaturesConfig(history=HistoryConfig(length=1)),
        actions=Vocabulary(()),
        vocabularies={"pin_id": Vocabulary(())},
        pin_moments={},
        user_moments={},
    )
    tensors = encoder.encode_users({}, [items("p0"), []])
    assert tensors.keys() == {"history", "history_actions", "history_ages", "numeric"}
    assert tensors["numeric"].tolist() == [[1.0], [0.0]]
    assert encoder.encode_users({}, [])["history"].shape == (0, 1)


def test_towers_are_told_the_shape_of_every_tensor() -> None:
    assert ENCODER.pin_inputs == TowerInputs({"interests": (4, 3)}, {"image": 2}, 3)
    assert ENCODER.user_inputs == TowerInputs({"age": (4, 1)}, {}, 2)
    tensors = encode_pins(width=[1.0, 2.0])
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "interests": (2, 3),
        "image": (2, 2),
        "numeric": (2, 3),
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"interests": [7]}, "feature 'interests' is categorical: 7 is neither a string nor a"),
        ({"interests": [2.5]}, "feature 'interests' is categorical: 2.5"),
        ({"interests": [{"art": 1}]}, "feature 'interests' is categorical"),
        ({"width": ["wide"]}, "feature 'width' is numeric: could not convert string"),
        ({"width": [[1.0, 2.0], 1.0]}, "feature 'width' is numeric"),
        ({"width": [{}]}, "feature 'width' is numeric"),
        ({"image": [[1.0]]}, r"feature 'image' has 2 dim.*the shape \(1,\)"),
        ({"image": [[1.0, 2.0, 3.0]]}, r"feature 'image' has 2 dim.*the shape \(3,\)"),
        ({"image": [[[1.0, 2.0]]]}, r"feature 'image' has 2 dim.*the shape \(1, 2\)"),
        ({"image": [["a", "b"]]}, "feature 'image' is an embedding: could not convert string"),
        ({"interests": [["art", ["art"]]]}, "feature 'interests' is categorical"),
        ({"image": [[]]}, r"feature 'image' has 2 dim.*the shape \(0,\)"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(columns: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_pins(**columns)


@pytest.mark.parametrize("missing", PIN)
def test_a_missing_column_is_named_with_those_there_are(missing: str) -> None:
    columns = {name: [value] for name, value in PIN.items() if name != missing}
    with pytest.raises(ValueError, match=rf"feature '{missing}' is missing; there are \["):
        ENCODER.encode_pins(columns)


def test_columns_without_a_feature_do_not_matter() -> None:
    with_more = encode_pins(width=[1.0], title=["x"])
    assert with_more.keys() == encode_pins(width=[1.0]).keys()


def test_log1p_takes_negative_counts_for_none() -> None:
    counts = np.array([-3.0, 0.0, np.e - 1, np.nan])
    logged = transformed(Numeric("n", "log1p"), counts)
    np.testing.assert_allclose(logged, [0.0, 0.0, 1.0, np.nan], atol=1e-12)
    assert transformed(Numeric("n"), counts) is counts


def test_saving_and_loading_keeps_everything(tmp_path: Path) -> None:
    ENCODER.save(tmp_path / "a.json")
    loaded = FeatureEncoder.load(tmp_path / "a.json")
    assert loaded == ENCODER
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": {"user": [{"kind": "image"}]}}'])
def test_what_is_no_encoder_is_refused_by_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "features.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="features.json is no feature encoder"):
        FeatureEncoder.load(path)


names = st.text(max_size=4)
numbers = st.floats(-1e9, 1e9)


@st.composite
def encoders(draw: st.DrawFn) -> FeatureEncoder:
    columns = draw(st.lists(names.filter(lambda name: name != "pin_id"), unique=True, max_size=4))
    features: list[Feature] = [
        draw(
            st.one_of(
                st.builds(Categorical, column=st.just(column), values=st.integers(1, 3)),
                st.builds(
                    Numeric,
                    column=st.just(column),
                    transform=st.sampled_from(["identity", "log1p"]),
                ),
                st.builds(Embedding, column=st.just(column), dimension=st.integers(1, 3)),
            )
        )
        for column in columns
    ]
    vocabulary = st.lists(names, unique=True, max_size=4).map(tuple).map(Vocabulary)
    moments = st.builds(Moments, numbers, st.floats(1e-3, 1e6))
    return FeatureEncoder(
        config=FeaturesConfig(
            user=tuple(features),
            history=HistoryConfig(length=draw(st.integers(1, 4))),
            statistics=StatisticsConfig(half_life_days=()),
        ),
        actions=draw(vocabulary),
        vocabularies={"pin_id": draw(vocabulary)}
        | {column: draw(vocabulary) for column in columns},
        pin_moments={},
        user_moments={
            feature.column: draw(moments) for feature in features if isinstance(feature, Numeric)
        },
    )


def values_of(feature: Feature) -> st.SearchStrategy[Any]:
    if isinstance(feature, Categorical):
        return names | st.lists(names, max_size=4)
    if isinstance(feature, Numeric):
        return numbers
    return st.lists(numbers, min_size=feature.dimension, max_size=feature.dimension)


@given(encoders(), st.data())
def test_a_loaded_encoder_encodes_alike_and_a_batch_alike_its_rows(
    tmp_path_factory: pytest.TempPathFactory, encoder: FeatureEncoder, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("encoder") / "features.json"
    encoder.save(path)
    loaded = FeatureEncoder.load(path)
    assert loaded == encoder
    num_users = data.draw(st.integers(1, 3))
    columns = {
        feature.column: data.draw(
            st.lists(st.none() | values_of(feature), min_size=num_users, max_size=num_users)
        )
        for feature in encoder.config.user
    }
    item = st.builds(HistoryItem, names, names, st.integers())
    histories = data.draw(
        st.lists(st.lists(item, max_size=6), min_size=num_users, max_size=num_users)
    )
    whole = encoder.encode_users(columns, histories)
    again = loaded.encode_users(columns, histories)
    rows = [
        encoder.encode_users({name: [own[row]] for name, own in columns.items()}, [histories[row]])
        for row in range(num_users)
    ]
    for name, tensor in whole.items():
        assert np.isfinite(tensor).all()
        np.testing.assert_array_equal(tensor, again[name])
        np.testing.assert_array_equal(tensor, np.concatenate([row[name] for row in rows]))
    for feature in encoder.config.user:
        if isinstance(feature, Categorical):
            rows_of_table = whole[feature.column]
            assert rows_of_table.min() >= 0
            assert rows_of_table.max() < len(encoder.vocabularies[feature.column])

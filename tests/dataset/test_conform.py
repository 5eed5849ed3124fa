import ibis
import pyarrow as pa
import pytest

from homefeed.dataset.conform import conform
from homefeed.engine import Engine
from homefeed.features.config import Categorical, Embedding, Feature, Numeric


def conformed(engine: Engine, values: pa.Array, feature: Feature) -> pa.ChunkedArray:
    table = engine.keep("pins", ibis.memtable(pa.table({"x": values})))
    return conform(table, [feature], "pin", ()).to_pyarrow()["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None]), ["1", None]),
        (pa.array(["02139", "é"]), ["02139", "é"]),
        (pa.array([True]), ["true"]),
        (pa.array([[1, 2], None, []]), [["1", "2"], None, []]),
    ],
)
def test_categorical_columns_become_strings(
    engine: Engine, values: pa.Array, expected: list[object]
) -> None:
    assert conformed(engine, values, Categorical(column="x")).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None]), [1.0, None]),
        (pa.array(["1.5", " 2 ", "-1e3", None]), [1.5, 2.0, -1000.0, None]),
        (pa.array([float("nan"), float("inf"), -float("inf"), 0.5]), [None, None, None, 0.5]),
        (pa.array([True, False]), [1.0, 0.0]),
    ],
)
def test_numeric_columns_become_finite_floats(
    engine: Engine, values: pa.Array, expected: list[object]
) -> None:
    assert conformed(engine, values, Numeric(column="x")).to_pylist() == expected


def test_embeddings_become_lists_of_floats(engine: Engine) -> None:
    found = conformed(engine, pa.array([["0.5", "1"], None]), Embedding(column="x", dimension=2))
    assert found.to_pylist() == [[0.5, 1.0], None]
    assert found.type.value_type == pa.float32()


@pytest.mark.parametrize(
    ("values", "feature", "message"),
    [
        ([1], Numeric(column="y"), "features.pin 'y' is no column of the pins; those are x"),
        (["1", "a", "b"], Numeric(column="x"), "numeric, but 2 rows are not: 'a', 'b'"),
        ([[1.0]], Embedding(column="x", dimension=2), r"1 rows are not: \[1.0\]"),
        ([["1", "a"]], Embedding(column="x", dimension=2), "embedding of 2 numbers, but 1 rows"),
        ([[1.0, None]], Embedding(column="x", dimension=2), "embedding of 2 numbers, but 1 rows"),
        ([1.0], Embedding(column="x", dimension=2), "but the column holds float64"),
    ],
)
def test_what_does_not_fit_is_refused(
    engine: Engine, values: list[object], feature: Feature, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        conformed(engine, pa.array(values), feature)


def test_names_that_homefeed_adds_are_refused() -> None:
    table = ibis.memtable({"pin_id": ["a"], "score": [1]})
    with pytest.raises(ValueError, match="columns named score, which homefeed adds"):
        conform(table, [], "pin", ["score", "pin_index"])

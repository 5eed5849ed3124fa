"""Gives feature columns the types that the encoder takes, as the recipe declares them."""

from collections.abc import Iterable

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from homefeed.features.config import Categorical, Embedding, Feature, Numeric


def conform(
    table: ir.Table, features: Iterable[Feature], side: str, written_later: Iterable[str]
) -> ir.Table:
    """Casts the feature columns of pins or users; other columns stay as they are.

    Args:
        table: pins or users.
        features: the recipe's features of that side.
        side: "pin" or "user", for errors.
        written_later: names of columns that homefeed adds to the table.

    Returns:
        The table: categorical columns as strings or lists of strings, numeric ones as float64 with
        null where there is no finite number, embeddings as lists of float32.

    Raises:
        ValueError: a feature's column is missing or cannot be what its kind says, or a column bears
            a name that homefeed needs.
    """
    if taken := sorted(set(written_later) & set(table.columns)):
        raise ValueError(
            f"the {side}s of the log have columns named {', '.join(taken)}, which homefeed adds "
            f"itself: rename them in events.input.{side}_columns"
        )
    for feature in features:
        where = f"features.{side} {feature.column!r}"
        if feature.column not in table.columns:
            raise ValueError(
                f"{where} is no column of the {side}s; those are {', '.join(table.columns)}"
            )
        table = _cast(table, feature, where)
    return table


def _cast(table: ir.Table, feature: Feature, where: str) -> ir.Table:
    column = table[feature.column]
    match feature:
        case Categorical():
            many = column.type().is_array()
            cast = column.cast(dt.Array(dt.string) if many else "string")
        case Numeric():
            number = column.try_cast("float64")
            _refuse(table, column.notnull() & number.isnull(), column, f"{where} is numeric")
            is_finite = ~(number.isnan() | number.isinf())
            cast = is_finite.ifelse(number, None)
        case Embedding():
            if not column.type().is_array():
                raise ValueError(f"{where} is an embedding but the column holds {column.type()}")
            cast = column.try_cast(dt.Array(dt.float32))
            num_numbers = cast.filter(lambda number: number.notnull()).length()
            wrong = (column.length() != feature.dimension) | (num_numbers != feature.dimension)
            _refuse(table, wrong, column, f"{where} is an embedding of {feature.dimension} numbers")
    return table.mutate(**{feature.column: cast})


def _refuse(table: ir.Table, wrong: ir.BooleanValue, column: ir.Value, claim: str) -> None:
    examples = table.filter(wrong).select(value=column).limit(3).to_pyarrow()["value"].to_pylist()
    if examples:
        num_wrong = table.filter(wrong).count().execute()
        raise ValueError(
            f"{claim}, but {num_wrong:,} rows are not: {', '.join(map(repr, examples))}"
        )

"""Fits the feature encoder: vocabularies and moments of the training part, and of nothing else."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.layout import PIN_INDEX, USER_INDEX
from homefeed.features.config import Categorical, FeaturesConfig, Numeric
from homefeed.features.encoder import FeatureEncoder, Moments, Vocabulary

_SIGNIFICANT_DIGITS = 9
_NO_SPREAD = 1e-9
"""Deviations below this share of the mean are rounding errors of a constant column."""


def fit_encoder(
    engagements: ir.Table,
    examples: ir.Table,
    pins: ir.Table,
    users: ir.Table,
    config: FeaturesConfig,
) -> FeatureEncoder:
    """Fits the encoder.

    Args:
        engagements: the training engagements.
        examples: the training examples, with the statistics' columns.
        pins: all pins, with pin_index; only those of `engagements` count.
        users: all users, with user_index; only those of `engagements` count.
        config: the features section of a recipe.

    Returns:
        The encoder. Vocabularies are ordered by falling count, then by value: ids by engagements,
        other columns by pins or users. Moments of statistics are those of the examples, moments of
        other numeric columns those of pins or users.
    """
    pins = pins.semi_join(engagements, PIN_INDEX)
    users = users.semi_join(engagements, USER_INDEX)
    columns: dict[str, tuple[int, list[ir.Column]]] = {
        Column.PIN_ID.value: (1, [engagements[Column.PIN_ID]])
    }
    for table, features in ((pins, config.pin), (users, config.user)):
        for feature in features:
            if not isinstance(feature, Categorical):
                continue
            if feature.column in (Column.PIN_ID, Column.USER_ID):
                columns[feature.column] = (feature.min_count, [engagements[feature.column]])
            else:
                _, values = columns.setdefault(feature.column, (feature.min_count, []))
                values.append(table[feature.column])
    vocabularies = {
        name: fit_vocabulary(values, min_count) for name, (min_count, values) in columns.items()
    }
    statistics = [Numeric(column, "log1p") for column in config.statistics.columns]
    return FeatureEncoder(
        config=config,
        actions=fit_vocabulary([engagements[Column.ACTION]]),
        vocabularies=vocabularies,
        pin_moments=_fit_moments(pins, [f for f in config.pin if isinstance(f, Numeric)])
        | _fit_moments(examples, statistics),
        user_moments=_fit_moments(users, [f for f in config.user if isinstance(f, Numeric)]),
    )


def fit_vocabulary(columns: Sequence[ir.Column], min_count: int = 1) -> Vocabulary:
    """The values of columns of strings, or of lists of them, by falling count, then by value."""
    flat = [each.unnest() if each.type().is_array() else each for each in columns]
    values = ibis.union(*(each.name("value").as_table() for each in flat))
    counts = values.filter(_.value.notnull()).group_by("value")
    kept = counts.agg(rows=_.count()).filter(_.rows >= min_count)
    ordered = kept.order_by(_.rows.desc(), "value").select("value")
    return Vocabulary(tuple(ordered.to_pyarrow()["value"].to_pylist()))


def _fit_moments(table: ir.Table, features: list[Numeric]) -> dict[str, Moments]:
    """Mean and population standard deviation of each column after its transform."""
    if not features:
        return {}
    aggregates = {}
    for feature in features:
        number = _transformed(table[feature.column].cast("float64"), feature)
        aggregates[f"mean_{feature.column}"] = number.mean()
        aggregates[f"deviation_{feature.column}"] = number.std(how="pop")
    (row,) = table.agg(**aggregates).to_pyarrow().to_pylist()
    return {
        f.column: _moments(row[f"mean_{f.column}"], row[f"deviation_{f.column}"]) for f in features
    }


def _transformed(number: ir.FloatingValue, feature: Numeric) -> ir.FloatingValue:
    """As `homefeed.features.encoder.transformed`."""
    if feature.transform == "identity":
        return number
    return ((number < 0).ifelse(0.0, number) + 1).ln()


def _moments(mean: float | None, deviation: float | None) -> Moments:
    if mean is None or deviation is None:
        return Moments(0.0, 1.0)
    # Sums in parallel differ in their last digits from run to run; the encoder must not.
    mean, deviation = (float(f"{x:.{_SIGNIFICANT_DIGITS}g}") for x in (mean, deviation))
    return Moments(mean, 1.0 if deviation <= _NO_SPREAD * abs(mean) else deviation)

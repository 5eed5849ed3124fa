"""From a source's own columns to the contract's."""

from collections.abc import Mapping, Sequence
from typing import Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from homefeed.events.files import FILE, ROW, RawTable

TimestampUnit = Literal["seconds", "milliseconds", "microseconds", "text"]

STRINGS = dt.Array(dt.string)
_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_MAX_SECONDS = 1 << 40
"""Some 35,000 years from 1970: no instant, and safe to cast to int64."""


def rename(
    raw: RawTable, mapping: Mapping[str, str], required: Sequence[str], setting: str
) -> ir.Table:
    """Gives columns the contract's names.

    Args:
        raw: the table as read.
        mapping: the contract's name -> the source's name.
        required: contract's names that must be there.
        setting: the recipe's key of the mapping, for errors.

    Raises:
        ValueError: a required or a mapped column is not in the files.
    """
    own = [column for column in raw.rows.columns if column not in (FILE, ROW)]
    wanted = {column: column for column in required} | dict(mapping)
    if missing := {ours: name for ours, name in wanted.items() if name not in own}:
        lacking = ", ".join(
            ours if ours == name else f"{name} for {ours}" for ours, name in missing.items()
        )
        raise ValueError(
            f"{raw.path} has no column {lacking}; there are {', '.join(own)}. Name the right ones "
            f"in {setting}, as in {{{next(iter(missing))}: {own[0]}}}"
        )
    # A mapped column wins over one that happens to bear the contract's name.
    kept = [name for name in own if name not in wanted and name not in mapping.values()]
    return raw.rows.select(
        *kept, FILE, ROW, **{ours: raw.rows[name] for ours, name in wanted.items()}
    )


def identifier(value: ir.Value) -> ir.StringValue:
    """An id as a string; null where there is none."""
    text = value.cast("string")
    return (text.strip() == "").ifelse(ibis.null("string"), text)


def unix_seconds(value: ir.Value, unit: TimestampUnit) -> ir.IntegerValue:
    """Timestamps as int64 Unix seconds, rounded down; null where a value is none.

    Args:
        value: numbers or text in `unit`, or a column of a date or timestamp type.
        unit: what numbers count, or "text" for ISO 8601, UTC where no zone is given.
    """
    if value.type().is_date() or value.type().is_timestamp():
        instant = value.cast(dt.Timestamp(timezone="UTC"))
        return instant.truncate("s").epoch_seconds().cast("int64")
    if unit == "text":
        instant = value.cast("string").strip().try_cast(dt.Timestamp(timezone="UTC"))
        return instant.truncate("s").epoch_seconds().cast("int64")
    seconds = value.try_cast("float64") / _PER_SECOND[unit]
    return (seconds.abs() < _MAX_SECONDS).ifelse(seconds, None).floor().cast("int64")


def strings(value: ir.Value, separator: str) -> ir.ArrayValue:
    """A list of strings without empty ones, from a list or from text with a separator."""
    if value.type().is_array():
        parts = value.cast(STRINGS)
    else:
        parts = value.cast("string").split(separator).map(lambda part: part.strip())
    return parts.filter(lambda part: part.notnull() & (part != ""))

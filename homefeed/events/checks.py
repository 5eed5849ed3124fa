"""Parts good rows from bad ones, and stops a run in which too many are bad."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import ibis.expr.types as ir
from ibis import _
from ibis.common.deferred import Deferred

from homefeed.engine import Engine
from homefeed.engine.duckdb_engine import OTHER_S3, S3
from homefeed.events.columns import TimestampUnit
from homefeed.events.config import EventsConfig
from homefeed.events.files import FILE, RESERVED, ROW, RawTable

_COLUMN, _VALUE, _REASON = (f"{RESERVED}{name}" for name in ("column", "value", "reason"))
_NUM_SHOWN = 5


class Rule(NamedTuple):
    """What makes a row bad: the column it is seen in, its value there, why, and when."""

    column: str
    value: ir.Value | Deferred
    reason: str
    broken: Deferred


class Unique(NamedTuple):
    """Columns whose values together no two rows may share, and what a repetition is called."""

    columns: Sequence[str]
    reason: str


@dataclass(frozen=True)
class Checked:
    """A table's good rows and its bad ones.

    Attributes:
        name: what the table holds.
        path: path or glob that it was read from.
        num_rows: good and bad rows.
        good: the rows that break no rule.
        rejects: the others as `file`, `row`, `column`, `value` and `reason`. `row` says the how
            many-th row of its file it is, from 1, without the header and malformed lines; of a
            malformed line it is its place among all lines, the header too. A cell that goes over
            several lines makes them one.
    """

    name: str
    path: str
    num_rows: int
    good: ir.Table
    rejects: ir.Table


def missing(column: str) -> Rule:
    """A row without a value in a column."""
    return Rule(column, ibis.null("string"), f"missing {column}", _[column].isnull())


def check(
    engine: Engine,
    name: str,
    raw: RawTable,
    table: ir.Table,
    rules: Sequence[Rule],
    unique: Unique,
) -> Checked:
    """Applies rules to a table; a row is rejected for the first rule that it breaks.

    Args:
        engine: where the result is kept: the source is read once.
        name: what the table holds, unique in the engine.
        raw: the table as read.
        table: the table as parsed, with `FILE` and `ROW`; columns whose names begin with `RESERVED`
            serve the rules alone.
        rules: what makes a row bad.
        unique: of the rows that break none of them, those are bad that repeat an earlier one.
    """

    def first_broken(results: Iterable[ir.Value | Deferred | str]) -> Deferred:
        branches = [(rule.broken, result) for rule, result in zip(rules, results, strict=True)]
        return ibis.cases(*branches)

    verdict = {
        _COLUMN: first_broken(rule.column for rule in rules),
        _VALUE: first_broken(rule.value for rule in rules),
        _REASON: first_broken(rule.reason for rule in rules),
    }
    judged = engine.keep(f"{name}_judged", table.mutate(**verdict))
    sound = judged.filter(_[_REASON].isnull())
    repeats = engine.keep(f"{name}_repeats", _find_repeats(sound, unique))
    bad = judged.filter(_[_REASON].notnull()).select(repeats.columns).union(repeats)
    starts = judged.group_by(FILE).agg(start=_[ROW].min())
    rejects = bad.join(starts, FILE).select(
        file=_[FILE],
        row=_[ROW] - _.start + 1,
        column=_[_COLUMN],
        value=_[_VALUE],
        reason=_[_REASON],
    )
    num_rows = judged.count().execute()
    if raw.malformed is not None:
        malformed = raw.malformed.mutate(column=ibis.null("string")).select(rejects.columns)
        rejects = rejects.union(malformed)
        num_rows += malformed.count().execute()
    helpers = [column for column in judged.columns if column.startswith(RESERVED)]
    good = sound.anti_join(repeats, ROW).drop(*helpers)
    return Checked(name, raw.path, num_rows, good, rejects)


def _find_repeats(sound: ir.Table, unique: Unique) -> ir.Table:
    """The rows that have the values of an earlier one, with their verdict.

    Rows whose hash nobody shares are unlike all others: few are left to be put in order.
    """
    hashed = sound.select(
        FILE, ROW, *unique.columns, hash=ibis.struct({c: sound[c] for c in unique.columns}).hash()
    )
    shared = hashed.group_by("hash").agg(rows=_.count()).filter(_.rows > 1)
    alike = hashed.semi_join(shared, "hash")
    place = ibis.row_number().over(group_by=unique.columns, order_by=ROW)
    values = reduce(lambda a, b: a + ", " + b, (_[c].cast("string") for c in unique.columns))
    return (
        alike.mutate(place=place)
        .filter(_.place > 0)
        .select(
            FILE,
            ROW,
            **{
                _COLUMN: ibis.literal(", ".join(unique.columns)),
                _VALUE: values,
                _REASON: ibis.literal(unique.reason),
            },
        )
    )


def write_rejects(engine: Engine, tables: Iterable[Checked], path: Path) -> None:
    """Writes all bad rows as CSV, ordered by file and row; see `Checked.rejects`."""
    rejects = ibis.union(*(table.rejects for table in tables))
    rejects = rejects.mutate(file=_.file.re_replace(f"^{OTHER_S3}", S3))
    engine.write_csv(rejects.order_by("file", "row"), path)


def count_rejects(table: Checked) -> dict[str, int]:
    """Number of bad rows of each reason, the most frequent first."""
    counts = table.rejects.group_by("reason").agg(rows=_.count())
    rows = counts.order_by(_.rows.desc(), "reason").to_pyarrow()
    return dict(zip(*(rows[name].to_pylist() for name in ("reason", "rows")), strict=True))


def refuse_too_many(
    table: Checked, config: EventsConfig, unit: TimestampUnit, rejects_file: Path
) -> None:
    """Stops when too large a share of a table's rows is bad.

    Args:
        table: the table.
        config: says which share is too large.
        unit: what timestamps were read as, for the error.
        rejects_file: where all bad rows were written, for the error.

    Raises:
        ValueError: the share is too large; names file, column and the first bad rows.
    """
    reasons = count_rejects(table)
    num_bad = sum(reasons.values())
    if num_bad <= config.max_reject_share * table.num_rows:
        return
    first = table.rejects.order_by("file", "row").limit(_NUM_SHOWN).to_pyarrow().to_pylist()
    lines = [
        f"{num_bad:,} of {table.num_rows:,} {table.name} in {table.path} are bad "
        f"({num_bad / table.num_rows:.1%}), more than "
        f"events.max_reject_share={config.max_reject_share:g}: "
        + ", ".join(f"{reason} ({count:,})" for reason, count in reasons.items()),
        *map(_shown, first),
        f"All of them are in {rejects_file}.",
    ]
    if any(reason.startswith(("unparseable", "future")) for reason in reasons):
        lines.append(f"Times are read as {unit!r} (events.input.timestamp): is that what they are?")
    raise ValueError("\n".join(lines))


def _shown(reject: dict[str, Any]) -> str:
    where = f"  {reject['file']} row {reject['row']}"
    column = f", column {reject['column']}" if reject["column"] else ""
    value = f": {reject['value']!r}" if reject["value"] is not None else ""
    return f"{where}{column}: {reject['reason']}{value}"

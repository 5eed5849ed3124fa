"""Reads the values of each table of a source, and says which rows are bad."""

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.engine import Engine
from homefeed.events.checks import Checked, Rule, Unique, check, missing
from homefeed.events.columns import TimestampUnit, identifier, strings, unix_seconds
from homefeed.events.config import Tables
from homefeed.events.files import FILE, RESERVED, ROW, RawTable

_SOURCE_TIME = f"{RESERVED}time"


def check_engagements(engine: Engine, raw: RawTable, config: Tables, now: int) -> Checked:
    """Engagements in the contract's columns.

    Bad ones lack an id, an action or a time, lie after `now` (Unix seconds), or repeat the user,
    pin, action and timestamp of an earlier good row.
    """
    rows = raw.rows

    def optional(column: str) -> ir.StringValue:
        return identifier(rows[column]) if column in rows.columns else ibis.null("string")

    has_action = Column.ACTION in rows.columns
    table = rows.select(
        FILE,
        ROW,
        event_id=rows[ROW],
        user_id=identifier(rows[Column.USER_ID]),
        pin_id=identifier(rows[Column.PIN_ID]),
        action=optional(Column.ACTION) if has_action else ibis.literal(config.default_action),
        surface=optional(Column.SURFACE).fill_null(config.default_surface),
        source_interest=optional(Column.SOURCE_INTEREST),
        **_time(rows, Column.TIMESTAMP, config.timestamp),
    )
    rules = [
        missing(Column.USER_ID),
        missing(Column.PIN_ID),
        missing(Column.ACTION),
        Rule(Column.TIMESTAMP, _[_SOURCE_TIME], "missing timestamp", _[_SOURCE_TIME].isnull()),
        _unparseable(Column.TIMESTAMP),
        Rule(Column.TIMESTAMP, _[_SOURCE_TIME], "future timestamp", _.timestamp > now),
    ]
    key = (Column.USER_ID, Column.PIN_ID, Column.ACTION, Column.TIMESTAMP)
    return check(engine, "engagements", raw, table, rules, Unique(key, "duplicate"))


def check_pins(engine: Engine, raw: RawTable, config: Tables) -> Checked:
    """Pins; bad ones lack the id, have no readable `created_at`, or repeat a good one's id."""
    rows = raw.rows
    own = (Column.PIN_ID, Column.IMAGE_SIGNATURE, Column.CANONICAL_SIGNATURE)
    parsed = {column: identifier(rows[column]) for column in own if column in rows.columns}
    parsed |= _lists(rows, (Column.INTERESTS, *config.list_columns), config.list_separator)
    rules = [missing(Column.PIN_ID)]
    if Column.TITLE in rows.columns:
        parsed[Column.TITLE] = rows[Column.TITLE].cast("string")
    if Column.CREATED_AT in rows.columns:
        parsed |= _time(rows, Column.CREATED_AT, config.timestamp)
        rules.append(_unparseable(Column.CREATED_AT))
    unique = Unique((Column.PIN_ID,), "duplicate pin_id")
    return check(engine, "pins", raw, rows.mutate(**parsed), rules, unique)


def check_users(engine: Engine, raw: RawTable, config: Tables) -> Checked:
    """Users; bad ones lack the id or repeat an earlier one's."""
    rows = raw.rows
    lists = (Column.FOLLOWED_INTERESTS, Column.INFERRED_INTERESTS, *config.list_columns)
    parsed = {Column.USER_ID: identifier(rows[Column.USER_ID])}
    parsed |= _lists(rows, lists, config.list_separator)
    rules = [missing(Column.USER_ID)]
    unique = Unique((Column.USER_ID,), "duplicate user_id")
    return check(engine, "users", raw, rows.mutate(**parsed), rules, unique)


def check_signatures(engine: Engine, raw: RawTable, config: Tables) -> Checked:
    """Pairs of signatures; bad ones lack one, or repeat an earlier good one's image."""
    columns = (Column.IMAGE_SIGNATURE, Column.CANONICAL_SIGNATURE)
    table = raw.rows.select(FILE, ROW, **{name: identifier(raw.rows[name]) for name in columns})
    rules = [*map(missing, columns)]
    unique = Unique((Column.IMAGE_SIGNATURE,), "duplicate image_signature")
    return check(engine, "signatures", raw, table, rules, unique)


def check_blocked(engine: Engine, raw: RawTable, config: Tables) -> Checked:
    """Ids of blocked pins; bad ones are missing or repeat an earlier one."""
    table = raw.rows.select(FILE, ROW, pin_id=identifier(raw.rows[Column.PIN_ID]))
    rules = [missing(Column.PIN_ID)]
    unique = Unique((Column.PIN_ID,), "duplicate pin_id")
    return check(engine, "blocked", raw, table, rules, unique)


def _time(rows: ir.Table, column: str, unit: TimestampUnit) -> dict[str, ir.Value]:
    """A time as Unix seconds, and as it stands in the source."""
    return {
        column: unix_seconds(rows[column], unit),
        _SOURCE_TIME: identifier(rows[column]),
    }


def _unparseable(column: str) -> Rule:
    broken = _[column].isnull() & _[_SOURCE_TIME].notnull()
    return Rule(column, _[_SOURCE_TIME], f"unparseable {column}", broken)


def _lists(rows: ir.Table, columns: Iterable[str], separator: str) -> dict[str, ir.Value]:
    there = set(rows.columns)
    return {column: strings(rows[column], separator) for column in columns if column in there}

"""Fills what a source may leave out, so that every consumer finds the whole contract."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.events.columns import STRINGS


def complete_pins(known: ir.Table | None, engagements: ir.Table) -> ir.Table:
    """The source's pins and those that only the engagements name, with all contract columns.

    A pin without an image signature is its own image, one without a title is called by its id.
    """
    pins = _with_seen(known, engagements, Column.PIN_ID)
    if Column.CANONICAL_SIGNATURE in pins.columns:
        pins = pins.drop(Column.CANONICAL_SIGNATURE)
    return _contract_first(
        pins,
        {
            Column.PIN_ID: pins.pin_id,
            Column.IMAGE_SIGNATURE: _or_null(pins, Column.IMAGE_SIGNATURE).fill_null(pins.pin_id),
            Column.CREATED_AT: _or_null(pins, Column.CREATED_AT, "int64"),
            Column.INTERESTS: _or_empty(pins, Column.INTERESTS),
            Column.TITLE: _or_null(pins, Column.TITLE).fill_null(pins.pin_id),
        },
    )


def complete_users(known: ir.Table | None, engagements: ir.Table) -> ir.Table:
    """The source's users and those that only the engagements name, with all contract columns."""
    users = _with_seen(known, engagements, Column.USER_ID)
    lists = (Column.FOLLOWED_INTERESTS, Column.INFERRED_INTERESTS)
    return _contract_first(
        users,
        {Column.USER_ID: users.user_id, **{name: _or_empty(users, name) for name in lists}},
    )


def complete_signatures(
    given: ir.Table | None, known_pins: ir.Table | None, pins: ir.Table
) -> ir.Table:
    """image_signature -> canonical_signature of every image.

    Args:
        given: the source's own table of them.
        known_pins: the source's pins, which may name the canonical signature themselves.
        pins: all pins, completed.

    Returns:
        `given` if there is one, else what the pins say; an image of which nothing is said is its
        own canonical one.
    """
    if given is not None:
        return given.select(Column.IMAGE_SIGNATURE, Column.CANONICAL_SIGNATURE)
    pairs = pins.select(Column.PIN_ID, Column.IMAGE_SIGNATURE)
    if known_pins is not None and Column.CANONICAL_SIGNATURE in known_pins.columns:
        named = known_pins.select(Column.PIN_ID, Column.CANONICAL_SIGNATURE)
        pairs = pairs.left_join(named, Column.PIN_ID).drop(f"{Column.PIN_ID}_right")
        canonical = _.canonical_signature
    else:
        canonical = _.image_signature
    # Pins that share an image have to share its canonical one too.
    grouped = pairs.group_by(Column.IMAGE_SIGNATURE).agg(canonical_signature=canonical.min())
    return grouped.mutate(canonical_signature=_.canonical_signature.fill_null(_.image_signature))


def _with_seen(known: ir.Table | None, engagements: ir.Table, key: str) -> ir.Table:
    seen = engagements.select(key).distinct()
    if known is None:
        return seen
    both = known.outer_join(seen, key)
    return both.mutate(**{key: _[key].fill_null(_[f"{key}_right"])}).drop(f"{key}_right")


def _or_null(table: ir.Table, column: str, kind: str = "string") -> ir.Value:
    return table[column] if column in table.columns else ibis.null(kind)


def _or_empty(table: ir.Table, column: str) -> ir.Value:
    empty = ibis.literal([], dt.Array(dt.null)).cast(STRINGS)
    return table[column].fill_null(empty) if column in table.columns else empty


def _contract_first(table: ir.Table, columns: dict[str, ir.Value]) -> ir.Table:
    others = {name: table[name] for name in table.columns if name not in columns}
    return table.select(**columns, **others)

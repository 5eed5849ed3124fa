"""Which pins are one item: the one mapping of the data set, the corpus and serving.

Near-duplicates of an image are shown, and logged, each by itself. Counted apart in training and
together in the corpus, a pin's statistics mean something else on either side, which lost the
source system engagement until one mapping served both.
"""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column, Granularity
from homefeed.engine import Engine
from homefeed.events.layout import SIGNATURES_FILE

ITEM_ID = "item_id"
_LAST = (1 << 63) - 1

_KEYS = {
    Granularity.PIN: Column.PIN_ID,
    Granularity.IMAGE_SIGNATURE: Column.IMAGE_SIGNATURE,
    Granularity.CANONICAL_SIGNATURE: Column.CANONICAL_SIGNATURE,
}


def with_canonical_signatures(engine: Engine, events: Path, pins: ir.Table) -> ir.Table:
    """Pins with `canonical_signature`, as the events artifact's signatures say.

    Args:
        engine: reads the signatures.
        events: the events artifact.
        pins: its pins.
    """
    signatures = engine.read(events / SIGNATURES_FILE)
    joined = pins.left_join(signatures, Column.IMAGE_SIGNATURE).drop(
        f"{Column.IMAGE_SIGNATURE}_right"
    )
    return joined.mutate(canonical_signature=_.canonical_signature.fill_null(_.image_signature))


def duplicates_of(items: ir.Table) -> ir.Table:
    """What `items_of` gave, as pin_id and item_id of the pins that another stands for."""
    return items.filter(_.pin_id != _.item_id).select(Column.PIN_ID, ITEM_ID)


def replace_pins(engagements: ir.Table, duplicates: ir.Table) -> ir.Table:
    """Engagements with the item's id for the pin's.

    Args:
        engagements: with pin_id.
        duplicates: from `duplicates_of`.
    """
    joined = engagements.left_join(duplicates, Column.PIN_ID).drop(f"{Column.PIN_ID}_right")
    return joined.mutate(pin_id=_.item_id.fill_null(_.pin_id)).drop(ITEM_ID)


def items_of(pins: ir.Table, granularity: Granularity) -> ir.Table:
    """The item of each pin: of those that share the granularity's key, the first that was made.

    Later duplicates change nothing. Pins without a time of creation come last, and of one time the
    smallest id is first.

    Args:
        pins: pin_id, created_at and both signatures.
        granularity: what makes pins one.

    Returns:
        The pins with `item_id`, the id of the pin that stands for them.
    """
    key = _KEYS[granularity]
    made_at = pins[Column.CREATED_AT].fill_null(_LAST)
    first = ibis.window(group_by=key, order_by=[made_at, pins[Column.PIN_ID]])
    return pins.mutate(**{ITEM_ID: pins[Column.PIN_ID].first().over(first)})

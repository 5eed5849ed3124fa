"""Which pins are one item: the one mapping of the data set, the corpus and serving.

Near-duplicates of an image are shown, and logged, each by itself. Counted apart in training and
together in the corpus, a pin's statistics mean something else on either side, which lost the
source system engagement until one mapping served both.
"""

import ibis
import ibis.expr.types as ir

from homefeed.contracts import Column, Granularity

ITEM_ID = "item_id"
_LAST = (1 << 63) - 1

_KEYS = {
    Granularity.PIN: Column.PIN_ID,
    Granularity.IMAGE_SIGNATURE: Column.IMAGE_SIGNATURE,
    Granularity.CANONICAL_SIGNATURE: Column.CANONICAL_SIGNATURE,
}


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

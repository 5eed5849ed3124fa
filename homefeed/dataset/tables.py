"""Writes the tables of the dataset artifact: pins, users and engagements, numbered."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.conform import conform
from homefeed.dataset.items import (
    ITEM_ID,
    duplicates_of,
    items_of,
    replace_pins,
    with_canonical_signatures,
)
from homefeed.dataset.layout import (
    DUPLICATES_FILE,
    EXCLUDED_FILE,
    IS_BLOCKED,
    PIN_INDEX,
    USER_INDEX,
)
from homefeed.engine import Engine
from homefeed.events.layout import (
    BLOCKED_FILE,
    ENGAGEMENTS_FILE,
    PINS_FILE,
    USERS_FILE,
)
from homefeed.features.config import FeaturesConfig


def write_pins(engine: Engine, events: Path, features: FeaturesConfig, output: Path) -> ir.Table:
    """Writes the items with number and canonical signature, and features as the encoder takes them.

    The other pins go to `duplicates.parquet`, each with the item that stands for it.

    Args:
        engine: reads and writes them.
        events: the events artifact.
        features: which columns are features, and of which kind.
        output: folder of the dataset artifact.

    Returns:
        The table as written.

    Raises:
        ValueError: a feature does not fit the columns.
    """
    pins = engine.read(events / PINS_FILE)
    added = (
        PIN_INDEX,
        Column.CANONICAL_SIGNATURE,
        IS_BLOCKED,
        ITEM_ID,
        "score",
        *features.statistics.columns,
    )
    pins = conform(pins, features.pin, "pin", added)
    of_items = items_of(with_canonical_signatures(engine, events, pins), features.granularity)
    engine.write(duplicates_of(of_items).order_by(Column.PIN_ID), output / DUPLICATES_FILE)
    blocked = engine.read(events / BLOCKED_FILE)
    blocked_items = of_items.semi_join(blocked, Column.PIN_ID).select(ITEM_ID).distinct()
    items = of_items.filter(_.pin_id == _.item_id).mutate(
        is_blocked=_.item_id.isin(blocked_items.item_id)
    )
    numbered = items.drop(ITEM_ID).mutate(pin_index=ibis.row_number().over(order_by=Column.PIN_ID))
    return engine.write(numbered.order_by(PIN_INDEX), output / PINS_FILE)


def write_users(engine: Engine, events: Path, features: FeaturesConfig, output: Path) -> ir.Table:
    """Writes the users with their `user_index`; otherwise as `write_pins`."""
    users = engine.read(events / USERS_FILE)
    users = conform(users, features.user, "user", (USER_INDEX,))
    numbered = users.mutate(user_index=ibis.row_number().over(order_by=Column.USER_ID))
    return engine.write(numbered.order_by(USER_INDEX), output / USERS_FILE)


def write_engagements(
    engine: Engine, engagements: ir.Table, pins: ir.Table, users: ir.Table, output: Path
) -> ir.Table:
    """Writes engagements in order of time, with their item for their pin, and both numbers.

    Args:
        engine: reads and writes them.
        engagements: those that are kept, with their split.
        pins: what `write_pins` wrote.
        users: what `write_users` wrote.
        output: folder of the dataset artifact.

    Returns:
        The table as written.
    """
    of_items = with_items(engine, engagements, output)
    numbered = of_items.join(users.select(Column.USER_ID, USER_INDEX), Column.USER_ID).join(
        pins.select(Column.PIN_ID, PIN_INDEX), Column.PIN_ID
    )
    in_order = numbered.order_by(Column.TIMESTAMP, Column.EVENT_ID)
    return engine.write(in_order, output / ENGAGEMENTS_FILE)


def write_excluded(engine: Engine, excluded: ir.Table, pins: ir.Table, output: Path) -> None:
    """Writes the events that are neither examples nor history: pin_index, action, timestamp."""
    numbered = with_items(engine, excluded, output).join(
        pins.select(Column.PIN_ID, PIN_INDEX), Column.PIN_ID
    )
    chosen = numbered.order_by(Column.TIMESTAMP, Column.EVENT_ID).select(
        PIN_INDEX, Column.ACTION, Column.TIMESTAMP
    )
    engine.write(chosen, output / EXCLUDED_FILE)


def with_items(engine: Engine, engagements: ir.Table, dataset: Path) -> ir.Table:
    """Engagements with the item's id for the pin's, as `write_pins` paired them."""
    return replace_pins(engagements, engine.read(dataset / DUPLICATES_FILE))

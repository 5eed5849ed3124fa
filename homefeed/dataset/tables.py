"""Writes the tables of the dataset artifact: pins, users and engagements, numbered."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.conform import conform
from homefeed.dataset.layout import PIN_INDEX, USER_INDEX
from homefeed.engine import Engine
from homefeed.events.layout import ENGAGEMENTS_FILE, PINS_FILE, SIGNATURES_FILE, USERS_FILE
from homefeed.features.config import FeaturesConfig


def write_pins(engine: Engine, events: Path, features: FeaturesConfig, output: Path) -> ir.Table:
    """Writes the pins with number and canonical signature, and features as the encoder takes them.

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
    added = (PIN_INDEX, Column.CANONICAL_SIGNATURE, "score", *features.statistics.columns)
    pins = conform(pins, features.pin, "pin", added)
    signatures = engine.read(events / SIGNATURES_FILE)
    with_canonical = pins.left_join(signatures, Column.IMAGE_SIGNATURE).drop(
        f"{Column.IMAGE_SIGNATURE}_right"
    )
    numbered = with_canonical.mutate(
        canonical_signature=_.canonical_signature.fill_null(_.image_signature),
        pin_index=ibis.row_number().over(order_by=Column.PIN_ID),
    )
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
    """Writes engagements in order of time, with the numbers of their pin and user.

    Args:
        engine: reads and writes them.
        engagements: those that are kept, with their split.
        pins: what `write_pins` wrote.
        users: what `write_users` wrote.
        output: folder of the dataset artifact.

    Returns:
        The table as written.
    """
    numbered = engagements.join(users.select(Column.USER_ID, USER_INDEX), Column.USER_ID).join(
        pins.select(Column.PIN_ID, PIN_INDEX), Column.PIN_ID
    )
    in_order = numbered.order_by(Column.TIMESTAMP, Column.EVENT_ID)
    return engine.write(in_order, output / ENGAGEMENTS_FILE)

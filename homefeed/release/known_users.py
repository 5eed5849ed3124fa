"""What is known of users at serving time, read from a data set."""

from collections.abc import Iterator
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.layout import TEST, USER_INDEX
from homefeed.engine import Engine
from homefeed.events.files import RESERVED
from homefeed.events.layout import ENGAGEMENTS_FILE
from homefeed.features.encoder import FeatureEncoder, HistoryItem
from homefeed.features.users import UserRecord

USERS_AT_ONCE = 1_000

OWN_COLUMNS = (Column.USER_ID, Column.FOLLOWED_INTERESTS, Column.INFERRED_INTERESTS)

HISTORY, SEEN = f"{RESERVED}history", f"{RESERVED}seen"
"""No column of the users bears such a name."""


def known_events(engine: Engine, dataset: Path) -> ir.Table:
    """What had happened by serving time: all events but the test part's."""
    return engine.read(dataset / ENGAGEMENTS_FILE).filter(_.split != TEST)


def read_records(
    engine: Engine, users: ir.Table, events: ir.Table, encoder: FeatureEncoder, as_of: int
) -> Iterator[list[tuple[str, UserRecord]]]:
    """Users by id with what is known of them, in batches, in order of their ids.

    Args:
        engine: reads them.
        users: rows of the data set's users.
        events: what is known of them; a user without any has features alone.
        encoder: says which features, and how long a history.
        as_of: serving time, in Unix seconds.
    """
    columns = [feature.column for feature in encoder.config.user]
    own = users.select(*dict.fromkeys([*OWN_COLUMNS, USER_INDEX, *columns]))
    engaged = _engaged(events, encoder.config.history.length)
    records = own.left_join(engaged, USER_INDEX).drop(f"{USER_INDEX}_right")
    for batch in engine.batches(records.order_by(Column.USER_ID), USERS_AT_ONCE):
        yield [(row[Column.USER_ID], _record(row, columns, as_of)) for row in batch.to_pylist()]


def _engaged(events: ir.Table, length: int) -> ir.Table:
    """The history of each user, most recent first, and the pins that they have engaged with."""
    item = ibis.struct(
        {
            # Structs are sorted by their first fields: of one second, the later event comes first.
            "age": -events.timestamp,
            "place": -events.event_id,
            "pin_id": events.pin_id,
            "action": events.action,
            "timestamp": events.timestamp,
        }
    )
    engaged = events.mutate(item=item).group_by(USER_INDEX)
    return engaged.agg(
        **{HISTORY: _.item.collect().sort()[:length], SEEN: _.pin_id.collect().unique().sort()}
    )


def _record(row: dict, columns: list[str], as_of: int) -> UserRecord:
    return UserRecord(
        features={column: row[column] for column in columns},
        history=tuple(
            HistoryItem(pin_id=item["pin_id"], action=item["action"], timestamp=item["timestamp"])
            for item in row[HISTORY] or ()
        ),
        seen=tuple(row[SEEN] or ()),
        followed_interests=tuple(row[Column.FOLLOWED_INTERESTS] or ()),
        inferred_interests=tuple(row[Column.INFERRED_INTERESTS] or ()),
        as_of=as_of,
    )

"""The history that a user had at the time of each event."""

from collections.abc import Mapping

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.layout import NUM_TODAY
from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.features.config import HistoryConfig

SECONDS_AN_HOUR = 3_600


def add_histories(
    events: ir.Table, user: str, columns: Mapping[str, str], config: HistoryConfig
) -> ir.Table:
    """Adds to each event what was known of its user strictly before it.

    A history holds the events of the same user that are older by the delay, and by a second at
    least, most recent first; of the same second, the later event of the source first.

    Each user's events are cut into blocks of `length` in order of time, and a history is a slice
    of two neighbouring blocks: the work grows with events times length, never with the square of
    a user's events.

    Args:
        events: events with event_id and timestamp.
        user: the column that tells users apart.
        columns: name of a history -> the column that it lists.
        config: most recent events kept, and their delay.

    Returns:
        The events with a list for each of `columns`; empty where there is nothing before.
    """
    in_order = ibis.window(group_by=user, order_by=[_.timestamp, _.event_id])
    length = config.length
    delay = max(1, round(config.delay_hours * SECONDS_AN_HOUR))
    before = ibis.range_window(preceding=(None, delay), group_by=user, order_by=_.timestamp)
    placed = events.mutate(
        place=ibis.row_number().over(in_order), num_before=_.event_id.count().over(before)
    )
    # Sorted as structs: not every engine collects in an order. The first field decides.
    item = ibis.struct(
        {"age": -placed.place, **{name: placed[own] for name, own in columns.items()}}
    )
    blocks = (
        placed.mutate(block=_.place // length, item=item)
        .group_by(user, "block")
        .agg(items=_.item.collect().sort())
        .mutate(**{name: _.items.map(lambda item, n=name: item[n]) for name in columns})
        .drop("items")
    )
    # The block of the last event before, and the one before it.
    current = blocks
    previous = blocks.mutate(block=_.block + 1).rename({_previous(name): name for name in columns})
    joined = placed.mutate(block=(_.num_before - 1) // length)
    for side in (current, previous):
        joined = joined.left_join(side, [user, "block"]).drop(f"{user}_right", "block_right")
    some = joined[next(iter(columns))]
    num_too_late = some.length() - (joined.num_before - joined.block * length)
    histories = {}
    for name, own in columns.items():
        nothing = ibis.literal([], dt.Array(dt.null)).cast(dt.Array(events[own].type()))
        both = joined[name].concat(joined[_previous(name)].fill_null(nothing))
        histories[name] = both[num_too_late : num_too_late + length].fill_null(nothing)
    return joined.mutate(**histories).drop("place", "num_before", "block", *map(_previous, columns))


def add_num_today(events: ir.Table, user: str) -> ir.Table:
    """Adds to each event how many of its user's came before it in the last 24 hours.

    Of events of the same second, the earlier one of the source came before; an event that is 24
    hours older counts.

    Args:
        events: events with event_id and timestamp.
        user: the column that tells users apart.

    Returns:
        The events with `num_today`, int32.
    """
    in_order = ibis.window(group_by=user, order_by=[Column.TIMESTAMP, Column.EVENT_ID])
    older = ibis.range_window(
        preceding=(None, SECONDS_A_DAY + 1), group_by=user, order_by=Column.TIMESTAMP
    )
    num_today = ibis.row_number().over(in_order) - _.event_id.count().over(older)
    return events.mutate(**{NUM_TODAY: num_today.cast("int32")})


def _previous(name: str) -> str:
    return f"previous_{name}"

"""Parts events into training, validation and test."""

import ibis
import ibis.expr.types as ir
import numpy as np
from ibis import _

from homefeed.contracts import Column
from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.layout import TEST, TRAIN, VALIDATION
from homefeed.dataset.statistics import SECONDS_A_DAY


def add_splits(engagements: ir.Table, config: DatasetConfig, seed: int) -> ir.Table:
    """Adds the column `split`.

    Args:
        engagements: events with event_id, user_id and timestamp.
        config: the dataset section of a recipe.
        seed: of the random split; equal seeds give equal splits.
    """
    if config.split == "time":
        return _by_time(engagements, config.train_share, config.validation_share)
    if config.split == "leave_last_out":
        return _leave_last_out(engagements)
    return _by_chance(engagements, seed)


def _by_time(engagements: ir.Table, train_share: float, validation_share: float) -> ir.Table:
    # Time of the event that this share of all events comes before; ties go to one side.
    num_events = engagements.count().execute()
    validation_start, test_start = (
        _time_of(engagements, int(num_events * share))
        for share in (train_share, train_share + validation_share)
    )
    return engagements.mutate(
        split=ibis.cases(
            (_.timestamp < validation_start, TRAIN),
            (_.timestamp < test_start, VALIDATION),
            else_=TEST,
        )
    )


def _time_of(engagements: ir.Table, place: int) -> int:
    """The timestamp of the event at a place in order of time, without sorting all of them."""
    first, events = 0, engagements.select(Column.TIMESTAMP)
    for seconds in (SECONDS_A_DAY, 1):
        counts = events.group_by(bin=_.timestamp // seconds).agg(num_events=_.count())
        found = counts.order_by("bin").to_pyarrow()
        ends = first + np.cumsum(found["num_events"].to_numpy())
        which = int(np.searchsorted(ends, place, side="right"))
        chosen = found["bin"][which].as_py()
        first = int(ends[which - 1]) if which else first
        events = events.filter(_.timestamp // seconds == chosen)
    return chosen


def _leave_last_out(engagements: ir.Table) -> ir.Table:
    # Ties in time keep the order of the source: in MovieLens many users' last events are tied.
    user = ibis.window(group_by=Column.USER_ID, order_by=[_.timestamp, _.event_id])
    places = engagements.mutate(place=ibis.row_number().over(user), size=_num_events_of_user())
    return _last_places(places, num_validation=ibis.literal(1), num_test=ibis.literal(1))


def _by_chance(engagements: ir.Table, seed: int) -> ir.Table:
    """8:1:1 of each user's events, by RecBole's rule (`Dataset.split_by_ratio`)."""
    # A hash of the event is the same on every engine and for every order of rows.
    lot = (ibis.literal(f"{seed}:") + engagements.event_id.cast("string")).hexdigest("md5")
    user = ibis.window(group_by=Column.USER_ID, order_by=["lot", Column.EVENT_ID])
    places = engagements.mutate(lot=lot).mutate(
        place=ibis.row_number().over(user), size=_num_events_of_user()
    )
    tenth = ibis.greatest(_.size // 10, 1)
    return _last_places(places.drop("lot"), num_validation=tenth, num_test=tenth)


def _num_events_of_user() -> ir.Value:
    return _.event_id.count().over(ibis.window(group_by=Column.USER_ID))


def _last_places(places: ir.Table, num_validation: ir.Value, num_test: ir.Value) -> ir.Table:
    """The user's last places are test, those before validation; a first one is always train."""
    from_end = places.size - 1 - places.place
    return places.mutate(
        split=ibis.cases(
            (places.place == 0, TRAIN),
            (from_end < num_test, TEST),
            (from_end < num_test + num_validation, VALIDATION),
            else_=TRAIN,
        )
    ).drop("place", "size")

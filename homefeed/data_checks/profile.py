"""Measures the data: a few aggregates of each table, and nothing that grows with its rows."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from ibis import _

from homefeed.contracts import Column, Window, read_manifest
from homefeed.data_checks.config import ChecksConfig
from homefeed.data_checks.layout import ColumnProfile, Profile, SplitProfile
from homefeed.dataset.history import SECONDS_AN_HOUR
from homefeed.dataset.layout import SPLIT, SPLITS, TRAIN
from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.engine import Engine
from homefeed.events.layout import ENGAGEMENTS_FILE, EVENTS, PINS_FILE, USERS_FILE

DUPLICATE = "duplicate"
"""The import's word for an engagement that repeats another."""
USUAL = 0.95
"""Share of the gaps that are no longer than a usual one."""


def measure_data(engine: Engine, events: Path, dataset: Path, config: ChecksConfig) -> Profile:
    """The profile of a run's data.

    Args:
        engine: reads the tables.
        events: the events artifact.
        dataset: the dataset artifact, whose pins and users have their features as they are used.
        config: says what is early, and over which days the volume is taken.
    """
    log = engine.read(events / ENGAGEMENTS_FILE)
    num_rejected = read_manifest(events, EVENTS).details.get("num_rejected", {})
    (facts,) = _rows(
        log.agg(
            rows=_.count(),
            users=_.user_id.nunique(),
            pins=_.pin_id.nunique(),
            first=_.timestamp.min(),
            last=_.timestamp.max(),
            early=(_.timestamp < int(config.earliest.timestamp())).sum(),
        )
    )
    start = max(facts["first"], facts["last"] + 1 - config.volume_days * SECONDS_A_DAY)
    num_recent = log.filter(_.timestamp >= start).count().execute()
    num_days = max(1.0, (facts["last"] + 1 - start) / SECONDS_A_DAY)
    usual, largest, largest_start = _gaps(_places(log, SECONDS_AN_HOUR)[0])
    num_duplicates = num_rejected.get(DUPLICATE, 0)
    return Profile(
        window=Window(facts["first"], facts["last"] + 1),
        num_engagements=facts["rows"],
        num_users=facts["users"],
        num_pins=facts["pins"],
        columns=dict(_columns(engine, log, dataset)),
        num_rejected=num_rejected,
        duplicate_share=num_duplicates / (num_duplicates + facts["rows"]),
        early_share=facts["early"] / facts["rows"],
        days=_days(log),
        volume=num_recent / num_days,
        usual_gap_hours=usual,
        largest_gap_hours=largest,
        largest_gap_start=largest_start,
        actions=_mixture(log, Column.ACTION),
        surfaces=_mixture(log, Column.SURFACE),
        known_pin_share=_known_share(log, engine.read(events / PINS_FILE), Column.PIN_ID),
        known_user_share=_known_share(log, engine.read(events / USERS_FILE), Column.USER_ID),
        splits=_splits(engine.read(dataset / ENGAGEMENTS_FILE)),
    )


def _rows(table: ir.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()


def _columns(engine: Engine, log: ir.Table, dataset: Path) -> Iterator[tuple[str, ColumnProfile]]:
    tables = {
        "engagements": log,
        "pins": engine.read(dataset / PINS_FILE),
        "users": engine.read(dataset / USERS_FILE),
    }
    for name, table in tables.items():
        aggregates = {}
        for place, column in enumerate(table.columns):
            value = table[column]
            is_null = value.isnull()
            if value.type().is_array():
                is_null |= value.length() == 0
            aggregates[f"null_{place}"] = is_null.cast("float64").mean()
            if value.type().is_numeric():
                aggregates[f"low_{place}"] = value.min().cast("float64")
                aggregates[f"high_{place}"] = value.max().cast("float64")
        (found,) = _rows(table.agg(**aggregates))
        for place, column in enumerate(table.columns):
            yield (
                f"{name}.{column}",
                ColumnProfile(
                    null_share=found[f"null_{place}"] or 0.0,
                    low=found.get(f"low_{place}"),
                    high=found.get(f"high_{place}"),
                ),
            )


def _places(log: ir.Table, seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """The spans of so many seconds that have any engagement, and how many each has."""
    counts = log.group_by(place=(_.timestamp // seconds).cast("int64")).agg(rows=_.count())
    found = counts.order_by("place").to_pyarrow()
    return found["place"].to_numpy(), found["rows"].to_numpy()


def _days(log: ir.Table) -> dict[str, int]:
    days, counts = _places(log, SECONDS_A_DAY)
    return {_iso_day(day): int(count) for day, count in zip(days, counts, strict=True)}


def _iso_day(day: int) -> str:
    instant: date = datetime.fromtimestamp(int(day) * SECONDS_A_DAY, UTC).date()
    return instant.isoformat()


def _gaps(hours: np.ndarray) -> tuple[float, float, int]:
    """The usual and the largest gap between hours that follow each other, and its start."""
    if len(hours) < 2:
        return 1.0, 1.0, int(hours[0]) * SECONDS_AN_HOUR
    gaps = np.diff(hours)
    largest = int(gaps.argmax())
    usual = float(np.quantile(gaps, USUAL))
    return usual, float(gaps[largest]), int(hours[largest]) * SECONDS_AN_HOUR


def _mixture(log: ir.Table, column: str) -> dict[str, float]:
    counts = _rows(log.group_by(column).agg(rows=_.count()).order_by(_.rows.desc(), column))
    total = sum(row["rows"] for row in counts)
    return {row[column]: row["rows"] / total for row in counts}


def _known_share(log: ir.Table, table: ir.Table, key: str) -> float | None:
    """Share of engagements whose pin or user the log's own table says something of."""
    known = table.filter(~_says_nothing(table, key))
    if not known.count().execute():
        return None
    return log.semi_join(known, key).count().execute() / log.count().execute()


def _says_nothing(table: ir.Table, key: str) -> ir.BooleanValue:
    """Whether a row is what the import writes for an id that the engagements alone name."""
    nothing = ibis.literal(True)
    for column in table.columns:
        value = table[column]
        if column == key:
            continue
        if column in (Column.IMAGE_SIGNATURE, Column.TITLE):
            nothing &= value == table[key]
        elif value.type().is_array():
            nothing &= value.isnull() | (value.length() == 0)
        else:
            nothing &= value.isnull()
    return nothing


def _splits(engagements: ir.Table) -> dict[str, SplitProfile]:
    """The splits there are; a data set for serving alone has none."""
    train = engagements.filter(_[SPLIT] == TRAIN)
    found = {}
    for split in SPLITS:
        own = engagements.filter(_[SPLIT] == split)
        users, pins = (own.select(key).distinct() for key in (Column.USER_ID, Column.PIN_ID))
        counts = [table.count().execute() for table in (own, users, pins)]
        if not counts[0]:
            continue
        num_seen = [
            table.semi_join(train, key).count().execute()
            for table, key in ((users, Column.USER_ID), (pins, Column.PIN_ID))
        ]
        found[split] = SplitProfile(
            num_engagements=counts[0],
            num_users=counts[1],
            num_pins=counts[2],
            seen_user_share=num_seen[0] / counts[1],
            seen_pin_share=num_seen[1] / counts[2],
        )
    return found

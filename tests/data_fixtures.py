"""A small log with what makes logs hard: ties in time, odd ids, missing values, several actions."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.events.config import EventsConfig, Tables
from homefeed.features.config import (
    Categorical,
    FeaturesConfig,
    HistoryConfig,
    Numeric,
    StatisticsConfig,
)

INTERESTS = ("art", "cats", "DIY", "größe")
START = 1_700_000_000
TINY_FEATURES = FeaturesConfig(
    user=(Categorical(column="age"), Categorical(column="followed_interests", values=2)),
    pin=(
        Categorical(column="pin_id"),
        Categorical(column="interests", values=2),
        Numeric(column="quality"),
    ),
    history=HistoryConfig(length=7),
    statistics=StatisticsConfig(half_life_days=(0.5, 7.0, 0.0)),
)


def write_tiny_log(
    folder: Path, num_users: int = 40, num_pins: int = 60, num_events: int = 1500, seed: int = 0
) -> EventsConfig:
    """Writes engagements, pins and users as Parquet; a user mostly takes pins of one interest."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    users = [f"{user:03}" if user % 2 else f"ü{user}" for user in range(num_users)]
    pins = [f"pin {pin}, “{pin}”" for pin in range(num_pins)]
    user = generator.integers(num_users, size=num_events)
    own = generator.random(num_events) < 0.8
    block = user % len(INTERESTS) + len(INTERESTS) * generator.integers(
        num_pins // len(INTERESTS), size=num_events
    )
    pin = np.where(own, block, generator.integers(num_pins, size=num_events))
    # Two weeks by quarters of an hour: a user's events are often tied.
    timestamp = START + 900 * generator.integers(14 * 96, size=num_events)
    # The last pins of each interest are of the last day: no training part knows them.
    is_late = timestamp >= START + 13 * 86_400
    pin = np.where(is_late, pin, pin % (num_pins - len(INTERESTS)))
    pin[np.flatnonzero(is_late)[: len(INTERESTS)]] = num_pins - 1 - np.arange(len(INTERESTS))
    engagements = {
        "user_id": [users[u] for u in user],
        "pin_id": [pins[p] for p in pin],
        "action": generator.choice(["click", "save", "hide"], num_events, p=[0.6, 0.35, 0.05]),
        "timestamp": timestamp,
    }
    quality = generator.normal(size=num_pins)
    pin_table = {
        "pin_id": pins,
        "interests": [[INTERESTS[p % len(INTERESTS)]] for p in range(num_pins)],
        "title": [f"Pin number {p}" for p in range(num_pins)],
        "quality": pa.array(quality, mask=quality > 1.5),
    }
    user_table = {
        "user_id": users,
        "age": [("18", "25", None)[u % 3] for u in range(num_users)],
        "followed_interests": [[INTERESTS[u % len(INTERESTS)]] for u in range(num_users)],
    }
    for name, table in (
        ("engagements", engagements),
        ("pins", pin_table),
        ("users", user_table),
    ):
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return EventsConfig(
        input=Tables(
            format="parquet",
            engagements=str(folder / "engagements.parquet"),
            pins=str(folder / "pins.parquet"),
            users=str(folder / "users.parquet"),
        )
    )

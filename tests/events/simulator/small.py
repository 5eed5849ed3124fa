"""A small simulated homefeed, large enough for what it shows to be no chance."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from homefeed.events.simulator.config import SECONDS_A_DAY, Simulator
from homefeed.events.simulator.world import World, load_world

SMALL = Simulator(
    users=800, pins=3000, days=60, engagements=60_000, interests=20, trends=10, impressions=True
)
TINY = Simulator(users=100, pins=300, days=10, engagements=4_000, interests=20)


@dataclass(frozen=True)
class Simulated:
    """An imported homefeed with its impressions.

    Attributes:
        folder: the events artifact.
        world: the truth.
        columns: of the impressions, as they are in the file.
        users: row of each impression's user.
        pins: row of each impression's pin.
        days: from the start of the log.
        engaged: whether anything was done.
    """

    folder: Path
    world: World
    columns: dict[str, np.ndarray]
    users: np.ndarray
    pins: np.ndarray
    days: np.ndarray
    engaged: np.ndarray


def read_simulated(folder: Path) -> Simulated:
    table = pq.read_table(folder / "impressions.parquet")
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    return Simulated(
        folder=folder,
        world=load_world(SMALL, folder / "truth"),
        columns=columns,
        users=columns["user_id"].astype(np.int64),
        pins=columns["pin_id"].astype(np.int64),
        days=(columns["timestamp"] - SMALL.start_seconds) / SECONDS_A_DAY,
        engaged=columns["choice"] != "nothing",
    )

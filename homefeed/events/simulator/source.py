"""A simulated homefeed as a source: written as files, then read as any other log."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from homefeed.engine import Engine
from homefeed.events.config import Tables
from homefeed.events.layout import (
    ENGAGEMENTS_FILE,
    IMPRESSIONS_FILE,
    PINS_FILE,
    SIGNATURES_FILE,
    TRUTH_FOLDER,
    USERS_FILE,
)
from homefeed.events.log import Source, read_log
from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.simulate import simulate
from homefeed.events.simulator.tables import write_pins, write_signatures, write_users
from homefeed.events.simulator.world import draw_world, save_world


@contextmanager
def read_simulator(engine: Engine, config: Simulator, output: Path) -> Iterator[Source]:
    """Simulates a log, and reads it while the context lasts.

    Args:
        engine: where its tables will live.
        config: of the simulation.
        output: folder of the events artifact; gets the truth, and the impressions if asked for.
            What is written for the import alone lies beside it and is removed at the end.
    """
    with TemporaryDirectory(prefix=".simulated-", dir=output.parent) as scratch:
        yield read_log(engine, write_simulation(config, Path(scratch), output))


def write_simulation(config: Simulator, folder: Path, output: Path) -> Tables:
    """Simulates a log as files.

    Args:
        config: of the simulation.
        folder: gets the log, as a team would have it.
        output: gets the truth, and the impressions if asked for.

    Returns:
        Where the files of the log are.
    """
    world = draw_world(config)
    save_world(world, output / TRUTH_FOLDER)
    write_users(world, folder / USERS_FILE)
    write_pins(world, folder / PINS_FILE)
    write_signatures(world, folder / SIGNATURES_FILE)
    impressions = output / IMPRESSIONS_FILE if config.impressions else None
    simulate(world, folder / ENGAGEMENTS_FILE, impressions)
    return Tables(
        format="parquet",
        engagements=str(folder / ENGAGEMENTS_FILE),
        pins=str(folder / PINS_FILE),
        users=str(folder / USERS_FILE),
        signatures=str(folder / SIGNATURES_FILE),
    )

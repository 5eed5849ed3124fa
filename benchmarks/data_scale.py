"""Rows a second and peak memory of the data's stages, at 1, 10 and 100 million engagements.

    python -m benchmarks.data_scale [ROWS ...]

writes `docs/results/data-scale.json`. Each stage is a process of its own, as it is in a pipeline,
whose peak memory is what the kernel says; DuckDB has `HOMEFEED_MEMORY=2GB`. Logs are of the
simulator, with 100 engagements a user and a pin. The towers are trained for one epoch, on logs of
up to 10 million.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from benchmarks.run import WORK
from homefeed.corpus.select import select_corpus
from homefeed.data_checks.check import check_data
from homefeed.dataset.build import build_dataset
from homefeed.engine.duckdb_engine import MEMORY_VARIABLE
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import RESULTS_FOLDER, Record, write_results
from homefeed.events.config import Tables
from homefeed.events.importing import import_events
from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.source import write_simulation
from homefeed.features.config import HistoryConfig
from homefeed.recipe import read_recipe
from homefeed.release.write_users import write_user_snapshot
from homefeed.towers.train import train_towers

NAME = "data-scale"
SIZES = (1_000_000, 10_000_000, 100_000_000)
STAGES = ("simulate", "import", "data set", "checks", "corpus", "users", "training")
TRAINED_UP_TO = 10_000_000
EVENTS_A_USER = EVENTS_A_PIN = 100
DAYS = 90
MEMORY = "2GB"
HISTORY = HistoryConfig(length=20, delay_hours=24)


class Cost(NamedTuple):
    """What a stage took."""

    seconds: float
    peak_bytes: int


def measure(num_rows: int, work: Path) -> Iterator[Record]:
    """Runs the stages one after the other."""
    for stage in STAGES:
        if stage == "training" and num_rows > TRAINED_UP_TO:
            continue
        with get_context("spawn").Pool(1) as pool:
            cost = pool.apply(run, (stage, num_rows, work))
        print(f"{num_rows:,} rows, {stage}: {cost}", file=sys.stderr)
        for metric, value, unit in (
            ("speed", num_rows / cost.seconds, "rows/s"),
            ("time", cost.seconds, "s"),
            ("peak memory", cost.peak_bytes / 2**30, "GiB"),
        ):
            yield Record(
                experiment=NAME,
                configuration=f"{num_rows // 1_000_000} M, {stage}",
                metric=metric,
                value=value,
                unit=unit,
                command="python -m benchmarks.data_scale",
                commit=commit(),
                machine=machine(),
            )


def run(stage: str, num_rows: int, work: Path) -> Cost:
    """Runs one stage in this process."""
    recipe = read_recipe("simulator")
    replace = msgspec.structs.replace
    recipe = replace(recipe, features=replace(recipe.features, history=HISTORY))
    events, dataset, tables = work / "events", work / "dataset", work / "log.json"
    started = time.monotonic()
    match stage:
        case "simulate":
            folder = work / "log"
            folder.mkdir()
            log = write_simulation(_simulator(num_rows), folder, work)
            tables.write_bytes(msgspec.json.encode(log))
        case "import":
            log = msgspec.json.decode(tables.read_bytes(), type=Tables)
            import_events(replace(recipe.events, input=log), events)
        case "data set":
            build_dataset(events, recipe.dataset, recipe.features, recipe.seed, dataset)
        case "checks":
            check_data(events, dataset, recipe.checks, None, work / "checks")
        case "corpus":
            select_corpus(dataset, recipe.corpus, recipe.features, work / "corpus")
        case "users":
            write_user_snapshot(dataset, work / "users")
        case "training":
            once = replace(recipe.training, batch_size=4096, max_epochs=1, refit=False)
            train_towers(dataset, recipe.towers, once, recipe.seed, work / "towers")
    seconds = time.monotonic() - started
    # The kernel counts KiB.
    return Cost(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _simulator(num_rows: int) -> Simulator:
    return Simulator(
        users=num_rows // EVENTS_A_USER,
        pins=num_rows // EVENTS_A_PIN,
        days=DAYS,
        engagements=num_rows,
    )


def main() -> None:
    """Measures all sizes."""
    parser = argparse.ArgumentParser(prog="data_scale", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=SIZES, metavar="ROWS")
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ[MEMORY_VARIABLE] = MEMORY
    for num_rows in parser.parse_args().rows:
        with TemporaryDirectory(prefix="scale-", dir=WORK) as work:
            write_results(RESULTS_FOLDER / f"{NAME}.json", measure(num_rows, Path(work)))


if __name__ == "__main__":
    main()

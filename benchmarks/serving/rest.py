"""REST answers under load: homefeed, a TorchServe that only echoes, and FastAPI in one process.

All servers of a corpus run at once, and each repeat loads one after the other in an order of its
own, so that whatever else the machine does meets all of them alike. The load generator is a process
of its own on the same machine.
"""

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from tqdm import tqdm

from benchmarks.serving import servers
from benchmarks.serving.figures import (
    P50,
    THROUGHPUT,
    UNITS,
    describe,
    make_record,
    ratio_record,
)
from benchmarks.serving.load import Load, Target, generate
from benchmarks.serving.plan import Corpus, Plan
from benchmarks.serving.releases import Releases
from benchmarks.serving.stages import read_stages
from benchmarks.serving.users import filtered_bodies, plain_bodies, sample_users
from homefeed.evaluation.results import Record
from serving.client.client import PATH
from serving.local import LocalServing

LOAD, RATIOS, STAGES = "serving-load", "serving-ratios", "serving-stages"
HOMEFEED, ECHO, FASTAPI = "homefeed", "echo", "FastAPI"
KINDS = ("plain", "filtered", "several embeddings")
WARM_UP_SECONDS = 2.0
WARM_UP_CONNECTIONS = 16
SEED = 0


class Cell(NamedTuple):
    """What is loaded: a kind of request to a server, which for the echo is any."""

    kind: str
    server: str


class Served(NamedTuple):
    """Where a cell's requests go, and whose stages can be read, where it is homefeed."""

    target: Target
    handler: LocalServing | None = None


Values = dict[tuple[Cell, int], defaultdict[str, list[float]]]
"""Of cells and numbers of connections, by metric, one for each repeat."""


def measure_rest(corpus: Corpus, releases: Releases, plan: Plan, work: Path) -> Iterator[Record]:
    """Loads all servers of a corpus.

    Yields:
        Records of three experiments.

    Raises:
        RuntimeError: a server does not start, or answers nothing.
    """
    with (
        contextlib.ExitStack() as stack,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator,
    ):
        http = stack.enter_context(httpx.Client(trust_env=False))
        cells = _serve(stack, http, corpus, releases, plan, work)
        for served in tqdm(cells.values(), desc=f"{corpus.title}: warming up", unit="server"):
            _load(generator, served.target, WARM_UP_CONNECTIONS, WARM_UP_SECONDS)
        # In the order that tables have, which is not that of the measurement.
        every = list(itertools.product(cells, plan.connections))
        found: Values = {each: defaultdict(list) for each in every}
        stages: Values = {
            (cell, number): defaultdict(list) for cell, number in every if cells[cell].handler
        }
        for cell, connections in _rounds(every, plan, corpus.title):
            target, handler = cells[cell]
            before = read_stages(http, handler) if handler else None
            load = _load(generator, target, connections, plan.seconds)
            for metric, value in describe(load).items():
                found[cell, connections][metric].append(value)
            if handler and before:
                for metric, value in read_stages(http, handler).since(before).items():
                    stages[cell, connections][metric].append(value)
    yield from _records(corpus, found, stages)


def _serve(
    stack: contextlib.ExitStack,
    http: httpx.Client,
    corpus: Corpus,
    releases: Releases,
    plan: Plan,
    work: Path,
) -> dict[Cell, Served]:
    """Starts all servers of a corpus."""
    own = releases.release(corpus.num_pins)
    several = releases.release(corpus.num_pins, is_multiple=True)
    users = sample_users(own, plan.num_users)
    plain, filtered = plain_bodies(users), filtered_bodies(users, own)
    bodies = dict(zip(KINDS, (plain, filtered, plain), strict=True))
    cells: dict[Cell, Served] = {}
    for release, kinds in ((own, KINDS[:2]), (several, KINDS[2:])):
        serving = stack.enter_context(servers.homefeed(release, work / release.name))
        baseline = stack.enter_context(servers.fastapi(release, work / release.name))
        for kind in kinds:
            target = servers.homefeed_target(serving)._replace(bodies=bodies[kind])
            cells[Cell(kind, HOMEFEED)] = Served(target, serving)
            cells[Cell(kind, FASTAPI)] = Served(baseline._replace(bodies=bodies[kind]))
    answer = http.post(f"{serving.state.url}{PATH}", content=plain[0])
    echo = stack.enter_context(servers.echo(answer.content, work / "echo"))
    cells[Cell("any", ECHO)] = Served(echo._replace(bodies=plain))
    return cells


def _rounds(every: list[tuple[Cell, int]], plan: Plan, title: str) -> Iterator[tuple[Cell, int]]:
    """All cells in each repeat, in an order by chance."""
    rng = np.random.default_rng(SEED)
    with tqdm(total=plan.num_repeats * len(every), desc=title, unit="load") as progress:
        for _ in range(plan.num_repeats):
            for place in rng.permutation(len(every)):
                cell, connections = every[place]
                progress.set_postfix_str(f"{cell.kind}, {cell.server}, {connections}")
                yield cell, connections
                progress.update()


def _load(generator: Executor, target: Target, connections: int, seconds: float) -> Load:
    return generator.submit(generate, target, connections, seconds).result()


def _records(corpus: Corpus, found: Values, stages: Values) -> Iterator[Record]:
    for cell, connections in found:
        name = f"{corpus.title}, {cell.kind}, {cell.server}, {connections}"
        for metric, values in found[cell, connections].items():
            yield make_record(LOAD, name, metric, UNITS[metric], values)
    for cell, connections in stages:
        name = f"{corpus.title}, {cell.kind}, {connections}"
        for metric, values in stages[cell, connections].items():
            yield make_record(STAGES, name, metric, "" if metric == "batch" else "ms", values)
        ours = found[cell, connections]
        for other in (Cell("any", ECHO), Cell(cell.kind, FASTAPI)):
            theirs = found[other, connections]
            for metric in (P50, THROUGHPUT):
                title = f"{metric} / {other.server}"
                yield ratio_record(RATIOS, name, title, ours[metric], theirs[metric])

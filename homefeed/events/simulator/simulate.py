"""Runs the sessions of all days and writes what came of them, a slice of a day at a time."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from homefeed.events.simulator.catalogue import Catalogue, make_catalogue, sort_by_interest
from homefeed.events.simulator.choice import CHOICES, choose, find_factor, weigh
from homefeed.events.simulator.config import SECONDS_A_DAY
from homefeed.events.simulator.interests import interest_names
from homefeed.events.simulator.rows import (
    ENGAGEMENTS,
    IMPRESSIONS,
    Rows,
    engagement_table,
    impression_table,
)
from homefeed.events.simulator.slates import KINDS, draw_slates
from homefeed.events.simulator.world import World, make_generator

IMPRESSIONS_AT_ONCE = 1 << 19
"""Many enough that numpy's calls cost little, few enough for some 200 MB of memory."""
MOST_SLICES = 288
"""Of a day: five minutes each, so that the sessions of a slice end within it."""
SECONDS_A_PLACE = 6
_PILOT_DAYS, _PILOT_SESSIONS = 8, 4_096
# The world is drawn from parts 0 to 2 of the seed.
_PILOT, _CATALOGUE, _SLICE = 3, 4, 5


@dataclass(frozen=True)
class Plan:
    """How many sessions there are, and how readily users engage.

    Attributes:
        sessions_a_day: expected.
        slices_a_day: parts that a day is cut into.
        factor: e to the common intercept of the options.
    """

    sessions_a_day: float
    slices_a_day: int
    factor: float


def simulate(world: World, engagements: Path, impressions: Path | None) -> None:
    """Writes the engagements in order of time, and the impressions if they are asked for.

    Args:
        world: the truth.
        engagements: Parquet file to write; ids are numbers, the rows of the truth.
        impressions: Parquet file to write, or None.
    """
    config = world.config
    names = interest_names(config.interests)
    by_interest = sort_by_interest(world.pins)
    plan = make_plan(world, by_interest)
    total = config.days * plan.slices_a_day
    with ExitStack() as opened, tqdm(total=total, desc="simulating", unit="slice") as progress:
        engaged = opened.enter_context(_writer(engagements, ENGAGEMENTS))
        shown = None
        if impressions is not None:
            shown = opened.enter_context(_writer(impressions, IMPRESSIONS))
        for day in range(config.days):
            catalogue = _catalogue_of(world, by_interest, day)
            for part in range(plan.slices_a_day):
                rows = draw_slice(world, catalogue, plan, day, part, engaged_only=shown is None)
                if shown is not None:
                    shown.write_table(impression_table(rows, names))
                    rows = rows.take(np.flatnonzero(rows.choices))
                engaged.write_table(engagement_table(rows, names))
                progress.update()


def make_plan(world: World, by_interest: np.ndarray) -> Plan:
    """Finds by a pilot on a few days what gives the wanted rate and number of engagements."""
    config = world.config
    weights, num_sessions = [], 0
    for day in np.unique(np.linspace(0, config.days - 1, _PILOT_DAYS).astype(int)).tolist():
        catalogue = _catalogue_of(world, by_interest, day)
        generator = make_generator(config, _PILOT, day)
        for name, share in sorted(config.surfaces.items()):
            num = round(share * _PILOT_SESSIONS)
            slates = draw_slates(world, catalogue, KINDS[name], num, day, generator)
            weights.append(weigh(slates, KINDS[name]).sum(axis=0)[slates.is_shown])
            num_sessions += num
    of_shown = np.concatenate(weights).astype(np.float64)
    factor = find_factor(of_shown, config.engagement_rate)
    engaged_a_session = config.engagement_rate * len(of_shown) / num_sessions
    sessions_a_day = config.engagements / engaged_a_session / config.days
    num_slices = int(np.ceil(sessions_a_day * config.slate / IMPRESSIONS_AT_ONCE))
    return Plan(sessions_a_day, min(num_slices, MOST_SLICES), factor)


def draw_slice(
    world: World, catalogue: Catalogue, plan: Plan, day: int, part: int, engaged_only: bool
) -> Rows:
    """All impressions of a part of a day, or those engaged with alone, in order of time."""
    config = world.config
    generator = make_generator(config, _SLICE, day, part)
    length = SECONDS_A_DAY / plan.slices_a_day
    first = config.start_seconds + day * SECONDS_A_DAY + part * length
    drawn = []
    for name, share in sorted(config.surfaces.items()):
        surface = KINDS[name]
        num = generator.poisson(share * plan.sessions_a_day / plan.slices_a_day)
        slates = draw_slates(world, catalogue, surface, num, day, generator)
        choices = choose(weigh(slates, surface), plan.factor, generator)
        latest = length - SECONDS_A_PLACE * config.slate
        times = (first + latest * generator.random(num)).astype(np.int64)
        places, sessions = np.nonzero(choices if engaged_only else slates.is_shown)
        drawn.append(
            Rows(
                users=slates.users[sessions],
                pins=slates.pins[places, sessions],
                surfaces=np.full(len(places), list(KINDS).index(name), np.int8),
                sources=slates.sources[places, sessions],
                positions=(places + 1).astype(np.int32),
                choices=choices[places, sessions],
                times=times[sessions] + SECONDS_A_PLACE * places,
            )
        )
    return _in_order(Rows.concatenate(drawn), config.pins)


def _in_order(rows: Rows, num_pins: int) -> Rows:
    """The rows by time, user, pin and choice; of rows that share all four, one."""
    key = (rows.users * num_pins + rows.pins) * len(CHOICES) + rows.choices
    order = np.lexsort((key, rows.times))
    # Two sessions of a user may run at once, and the import takes nothing twice.
    is_same = (np.diff(rows.times[order]) == 0) & (np.diff(key[order]) == 0)
    return rows.take(order[np.concatenate([np.ones(min(1, len(order)), bool), ~is_same])])


def _catalogue_of(world: World, by_interest: np.ndarray, day: int) -> Catalogue:
    config = world.config
    return make_catalogue(
        world.pins,
        by_interest,
        config.interests,
        config.start_seconds + day * SECONDS_A_DAY,
        config.fresh_days,
        make_generator(config, _CATALOGUE, day),
    )


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    named = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    # Ids repeat too rarely for dictionaries of them.
    return pq.ParquetWriter(path, schema, use_dictionary=named)

"""What a log knows of its users and pins: the truth, with noise."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.contracts import Column
from homefeed.events.simulator.interests import draw_rows, interest_names
from homefeed.events.simulator.pins import SHARES
from homefeed.events.simulator.users import COUNTRIES
from homefeed.events.simulator.world import World, make_generator

COUNTRY = "country"
EMBEDDING = "embedding"
ROWS_AT_ONCE = 1 << 17
# World and sessions are drawn from parts 0 to 5 of the seed.
_USERS, _PINS, _CENTRES = 6, 7, 8


def write_users(world: World, path: Path) -> None:
    """Writes the users: interests as observed when the log begins, and the country."""

    def make(rows: np.ndarray, part: int) -> Mapping[str, pa.Array]:
        generator = make_generator(world.config, _USERS, part)
        level, weights = world.users.level[:, rows], world.mix(rows, 0.0)
        config, users = world.config, world.users
        return {
            Column.USER_ID: pa.array(rows),
            Column.FOLLOWED_INTERESTS: _observe(
                world, rows, level, config.followed_share, generator
            ),
            Column.INFERRED_INTERESTS: _observe(
                world, rows, weights, config.inferred_share, generator
            ),
            COUNTRY: pa.array(COUNTRIES).take(pa.array(users.country[rows])),
        }

    _write(path, world.config.users, make)


def write_pins(world: World, path: Path) -> None:
    """Writes the pins: interests as labelled, a title, and content as a model of images has it."""
    config, pins = world.config, world.pins
    words = interest_names(config.interests)
    shape = (config.interests, config.dimension)
    centres = make_generator(config, _CENTRES).standard_normal(shape, np.float32)

    def make(rows: np.ndarray, part: int) -> Mapping[str, pa.Array]:
        generator = make_generator(config, _PINS, part)
        own = pins.interests[:, rows]
        named = zip(own[0].tolist(), pins.original[rows].tolist(), strict=True)
        return {
            Column.PIN_ID: pa.array(rows),
            Column.IMAGE_SIGNATURE: _signatures(rows),
            Column.CREATED_AT: pa.array(pins.created_at[rows]),
            Column.INTERESTS: _label(world, own, generator),
            Column.TITLE: pa.array([f"{words[first]}, image {image}" for first, image in named]),
            EMBEDDING: _embed(world, rows, centres, generator),
        }

    _write(path, config.pins, make)


def write_signatures(world: World, path: Path) -> None:
    """Writes the canonical signature of each pin's image: that of the image's first pin."""

    def make(rows: np.ndarray, part: int) -> Mapping[str, pa.Array]:
        return {
            Column.IMAGE_SIGNATURE: _signatures(rows),
            Column.CANONICAL_SIGNATURE: _signatures(world.pins.original[rows]),
        }

    _write(path, world.config.pins, make)


def _write(
    path: Path, num_rows: int, make: Callable[[np.ndarray, int], Mapping[str, pa.Array]]
) -> None:
    """Writes a table of rows 0..num_rows-1, a part at a time."""
    writer = None
    for part, first in enumerate(range(0, num_rows, ROWS_AT_ONCE)):
        columns = make(np.arange(first, min(first + ROWS_AT_ONCE, num_rows)), part)
        table = pa.table({str(name): column for name, column in columns.items()})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _observe(
    world: World,
    rows: np.ndarray,
    weights: np.ndarray,
    share: float,
    generator: np.random.Generator,
) -> pa.ListArray:
    """Users' interests as seen: a share, the greatest of `weights[K, N]` first, and wrong ones."""
    order = np.argsort(-weights, axis=0, kind="stable")
    own = np.take_along_axis(world.users.interests[:, rows], order, axis=0)
    wrong = draw_rows(world.interests.prevalence, (1, len(rows)), generator)
    listed = np.vstack([own, wrong]).T
    shares = np.full(listed.shape[1], share)
    shares[-1] = world.config.interest_noise
    return _lists(world, listed, generator.random(listed.shape) < shares)


def _label(world: World, own: np.ndarray, generator: np.random.Generator) -> pa.ListArray:
    """The interests `own[2, N]` of pins, some of them wrong."""
    is_wrong = generator.random(own.shape) < world.config.label_noise
    wrong = draw_rows(world.interests.prevalence, own.shape, generator)
    # Where there is but one interest, the second row repeats the first and is not listed.
    is_listed = np.stack([np.ones(own.shape[1], bool), own[0] != own[1]], axis=1)
    return _lists(world, np.where(is_wrong, wrong, own).T, is_listed)


def _embed(
    world: World, rows: np.ndarray, centres: np.ndarray, generator: np.random.Generator
) -> pa.ListArray:
    """Content vectors with noise: near those of other pins of the interests, and of copies."""
    content = world.pins.content[rows].copy()
    for interest, share in zip(world.pins.interests, SHARES, strict=True):
        content += np.float32(share) * centres[interest[rows]]
    noise = generator.standard_normal(content.shape, np.float32)
    content += np.float32(world.config.embedding_noise) * noise
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(content.ravel()), content.shape[1])
    return fixed.cast(pa.list_(pa.float32()))


def _signatures(rows: np.ndarray) -> pa.StringArray:
    return pa.array([f"image-{row}" for row in rows.tolist()])


def _lists(world: World, values: np.ndarray, is_listed: np.ndarray) -> pa.ListArray:
    """Rows of names, each at most once, of interests `values[N, K]` where `is_listed[N, K]`."""
    is_listed = is_listed.copy()
    for place in range(1, values.shape[1]):
        before = (values[:, :place] == values[:, place, None]) & is_listed[:, :place]
        is_listed[:, place] &= ~before.any(axis=1)
    offsets = np.concatenate([[0], np.cumsum(is_listed.sum(axis=1))]).astype(np.int32)
    names = pa.array(interest_names(world.config.interests))
    return pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(values[is_listed])))

"""Engagements of all sources become rows of two tables: what the training processes read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import msgspec
import numpy as np
import pyarrow.parquet as pq
from ibis import _

from homefeed.config import to_yaml
from homefeed.contracts import Column, Manifest, Window, read_manifest
from homefeed.dataset.items import duplicates_of, items_of, replace_pins, with_canonical_signatures
from homefeed.engine import open_engine
from homefeed.events.config import EventsConfig
from homefeed.events.layout import ENGAGEMENTS_FILE, EVENTS, PINS_FILE
from homefeed.id_embeddings.config import IdRecipe, Source
from homefeed.id_embeddings.layout import PAIRS_FILE, PIN_IDS_FILE, RECIPE_FILE, USER_IDS_FILE

USER_ROW, PIN_ROW, SOURCE = "user_row", "pin_row", "source"


@dataclass(frozen=True)
class Pairs:
    """N positives in order of time.

    Attributes:
        users: rows of the user table, int64 [N].
        pins: rows of the pin table, int64 [N].
        timestamps: Unix seconds, int64 [N].
        num_users: rows of the user table.
        num_pins: rows of the pin table.
    """

    users: np.ndarray
    pins: np.ndarray
    timestamps: np.ndarray
    num_users: int
    num_pins: int

    @classmethod
    def read(cls, prepared: Path) -> "Pairs":
        """Reads the positives into memory, 24 bytes each."""
        table = pq.read_table(prepared / PAIRS_FILE)
        return cls(
            users=table[USER_ROW].to_numpy(),
            pins=table[PIN_ROW].to_numpy(),
            timestamps=table[Column.TIMESTAMP].to_numpy(),
            num_users=pq.read_metadata(prepared / USER_IDS_FILE).num_rows,
            num_pins=pq.read_metadata(prepared / PIN_IDS_FILE).num_rows,
        )

    def __len__(self) -> int:
        return len(self.users)

    def part(self, rows: slice) -> "Pairs":
        """Some of the positives; the tables stay as large."""
        return Pairs(
            self.users[rows], self.pins[rows], self.timestamps[rows], self.num_users, self.num_pins
        )


def prepare(events: Sequence[Path], recipe: IdRecipe, output: Path) -> dict[str, str]:
    """Writes the window's positives of all sources, and the ids that get a row; drops none.

    Args:
        events: the events artifacts of the recipe's sources, in any order.
        recipe: which sources, and which window of them.
        output: folder for the prepared files.

    Returns:
        The fingerprint of each source's events.

    Raises:
        ValueError: an artifact is missing, of no source, or without an engagement in the window.
    """
    found = _by_source(events, recipe)
    window = recipe.window.seconds
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine:
        parts = []
        for place, (source, (folder, manifest)) in enumerate(
            zip(recipe.sources, found, strict=True)
        ):
            pins = with_canonical_signatures(engine, folder, engine.read(folder / PINS_FILE))
            duplicates = duplicates_of(items_of(pins, recipe.granularity))
            log = replace_pins(engine.read(folder / ENGAGEMENTS_FILE), duplicates)
            positives = _positives(log, source, window)
            if not positives.count().execute():
                raise ValueError(
                    f"sources[{place}] has no engagement in the window {window}: its log covers "
                    f"{manifest.window}, without the actions {', '.join(source.exclude_actions)}"
                )
            parts.append(positives.mutate(source=place))
        everything = engine.keep("positives", ibis.union(*parts) if parts[1:] else parts[0])
        users = _number(everything, Column.USER_ID, USER_ROW)
        pins = _number(everything, Column.PIN_ID, PIN_ROW)
        engine.write(users.order_by(USER_ROW), output / USER_IDS_FILE)
        engine.write(pins.order_by(PIN_ROW), output / PIN_IDS_FILE)
        pairs = everything.join(users, Column.USER_ID).join(pins, Column.PIN_ID)
        pairs = pairs.order_by(Column.TIMESTAMP, SOURCE, Column.EVENT_ID)
        engine.write(pairs.select(USER_ROW, PIN_ROW, Column.TIMESTAMP), output / PAIRS_FILE)
    (output / RECIPE_FILE).write_text(to_yaml(recipe))
    return {f"{EVENTS} {place}": manifest.fingerprint for place, (_, manifest) in enumerate(found)}


def _by_source(events: Sequence[Path], recipe: IdRecipe) -> list[tuple[Path, Manifest]]:
    """The artifact of each source: KFP does not promise in which order it collects them."""
    given = [(folder, read_manifest(folder, EVENTS)) for folder in events]
    sections = [msgspec.convert(each.details["config"], EventsConfig) for _, each in given]
    wanted = [source.events for source in recipe.sources]
    for place, section in enumerate(wanted):
        if section not in sections:
            raise ValueError(
                f"no events artifact of sources[{place}] among {', '.join(map(str, events))}"
            )
    if strangers := [str(f) for f, s in zip(events, sections, strict=True) if s not in wanted]:
        raise ValueError(f"{', '.join(strangers)} is of no source of the recipe")
    return [given[sections.index(section)] for section in wanted]


def _positives(engagements: ir.Table, source: Source, window: Window) -> ir.Table:
    is_positive = (
        (_.timestamp >= window.start)
        & (_.timestamp < window.end)
        & _.action.notin(source.exclude_actions)
    )
    prefix = f"{source.user_namespace}:" if source.user_namespace else ""
    return engagements.filter(is_positive).select(
        Column.PIN_ID,
        Column.TIMESTAMP,
        Column.EVENT_ID,
        user_id=ibis.literal(prefix) + engagements.user_id,
    )


def _number(positives: ir.Table, column: str, row: str) -> ir.Table:
    """The different ids of a column, each with its place in their order."""
    return (
        positives.select(column).distinct().mutate(**{row: ibis.row_number().over(order_by=column)})
    )

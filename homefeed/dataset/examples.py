"""Writes the examples of each split: an event and what was known before it."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _
from tqdm import tqdm

from homefeed.contracts import Column
from homefeed.dataset.history import add_histories, add_num_today
from homefeed.dataset.layout import (
    EXAMPLES_FOLDER,
    NUM_TODAY,
    PIN_INDEX,
    SPLIT,
    SPLITS,
    USER_INDEX,
)
from homefeed.dataset.statistics import add_statistics
from homefeed.engine import Engine
from homefeed.features.config import HISTORY, HISTORY_ACTIONS, HISTORY_TIMES, FeaturesConfig
from homefeed.features.encoder import OUT_OF_VOCABULARY_ROW, Vocabulary

EVENTS_AT_ONCE = 1_000_000
"""Users are taken in parts of about so many events, as lists are held in memory."""
EXAMPLES_A_ROW_GROUP = 4_096
"""Who reads the parts in order of time holds a row group of each."""


def write_examples(
    engine: Engine,
    engagements: ir.Table,
    actions: Vocabulary,
    features: FeaturesConfig,
    is_split_by_time: bool,
    output: Path,
) -> None:
    """Writes `examples/<split>/<part>.parquet`, each ordered by timestamp and event_id.

    A user's examples of a split are all in one part.

    Args:
        engine: where intermediate tables are kept.
        engagements: events with split, user_index and pin_index.
        actions: rows of the actions in the histories.
        features: length of the histories, half-lives of the statistics.
        is_split_by_time: whether all events before an example are of its split or an earlier one.
        output: folder of the dataset artifact.
    """
    num_parts = 1 + engagements.count().execute() // EVENTS_AT_ONCE
    action_rows = [(_.action == action, row) for action, row in actions.rows.items()]
    own = (
        Column.EVENT_ID,
        USER_INDEX,
        PIN_INDEX,
        Column.TIMESTAMP,
        Column.ACTION,
        Column.SOURCE_INTEREST,
    )
    prepared = engagements.select(
        *own,
        SPLIT,
        pin=_.pin_index.cast("int32"),
        action_row=ibis.cases(*action_rows, else_=OUT_OF_VOCABULARY_ROW).cast("int32"),
        part=_.user_index % num_parts,
    )
    columns = (
        *own,
        HISTORY,
        HISTORY_ACTIONS,
        HISTORY_TIMES,
        NUM_TODAY,
        *features.statistics.columns,
    )
    lists = {HISTORY: "pin", HISTORY_ACTIONS: "action_row", HISTORY_TIMES: Column.TIMESTAMP.value}
    with tqdm(total=len(SPLITS) * num_parts, desc="writing examples", unit="part") as progress:
        for known, splits in _pools(prepared, is_split_by_time):
            # Sorted, so that the engine reads a part from its own blocks.
            staged = engine.keep(
                "known", add_statistics(known, features.statistics).order_by("part")
            )
            for part in range(num_parts):
                of_part = add_num_today(staged.filter(_.part == part), USER_INDEX)
                # Kept: the splits are read of it one by one.
                with_histories = engine.keep(
                    "with_histories", add_histories(of_part, USER_INDEX, lists, features.history)
                )
                for split in splits:
                    folder = output / EXAMPLES_FOLDER / split
                    folder.mkdir(parents=True, exist_ok=True)
                    examples = with_histories.filter(_.split == split).select(*columns)
                    in_order = examples.order_by(Column.TIMESTAMP, Column.EVENT_ID)
                    file = folder / f"{part:05}.parquet"
                    engine.write(in_order, file, EXAMPLES_A_ROW_GROUP)
                    progress.update()


def _pools(engagements: ir.Table, is_split_by_time: bool) -> list[tuple[ir.Table, tuple[str, ...]]]:
    """Pairs of events and the splits whose examples may know of all of those before them."""
    if is_split_by_time:
        return [(engagements, SPLITS)]
    return [
        (engagements.filter(_.split.isin(SPLITS[: place + 1])), (split,))
        for place, split in enumerate(SPLITS)
    ]

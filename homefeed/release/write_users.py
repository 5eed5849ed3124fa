"""Writes the users' snapshot of a release; apart from its reader, which serving imports."""

from collections.abc import Iterator
from pathlib import Path

import ibis
import ibis.expr.types as ir
import msgspec
import pyarrow as pa
from ibis import _
from tqdm import tqdm

from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.items import ITEM_ID
from homefeed.dataset.layout import DATASET, DUPLICATES_FILE, TEST, USER_INDEX
from homefeed.engine import Engine, open_engine
from homefeed.events.files import RESERVED
from homefeed.events.layout import ENGAGEMENTS_FILE, USERS_FILE
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, HistoryItem
from homefeed.features.users import UserRecord
from homefeed.release.users import DUPLICATES_FILE as SNAPSHOT_DUPLICATES_FILE
from homefeed.release.users import USERS, key_of
from homefeed.release.users import USERS_FILE as SNAPSHOT_FILE
from homefeed.release.write_values import write_values

EVENTS_AT_ONCE = 5_000_000
"""Users are taken in parts of about so many events: lists are held in memory."""
USERS_AT_ONCE = 1_000
"""Users of one read and one LMDB transaction."""
DUPLICATES_AT_ONCE = 50_000

OWN_COLUMNS = (Column.USER_ID, Column.FOLLOWED_INTERESTS, Column.INFERRED_INTERESTS)

HISTORY, SEEN = f"{RESERVED}history", f"{RESERVED}seen"
"""No column of the users bears such a name."""


def write_user_snapshot(dataset: Path, output: Path) -> Manifest:
    """Writes what is known of each user at serving time.

    History and seen pins come from all events but the test part's; a user without any has features
    alone.

    Args:
        dataset: the dataset artifact.
        output: folder of the snapshot.

    Returns:
        The manifest of the snapshot.
    """
    source = read_manifest(dataset, DATASET)
    encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
    serving_time = source.details["serving_time"]
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine:
        records = _records(engine, dataset, encoder, serving_time)
        num_users = write_values(output / SNAPSHOT_FILE, records)
        duplicates = engine.read(dataset / DUPLICATES_FILE)
        if duplicates.count().execute():
            pairs = engine.batches(duplicates, DUPLICATES_AT_ONCE)
            write_values(output / SNAPSHOT_DUPLICATES_FILE, map(_pairs, pairs))
    return write_manifest(
        output,
        Manifest(
            kind=USERS,
            window=Window(source.window.start, serving_time) if source.window else None,
            inputs={DATASET: source.fingerprint},
            details={
                "num_users": num_users,
                "serving_time": serving_time,
                "history_length": encoder.config.history.length,
                "features": [feature.column for feature in encoder.config.user],
            },
        ),
    )


def _records(
    engine: Engine, dataset: Path, encoder: FeatureEncoder, as_of: int
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Users with what is known of them, in batches; memory follows the batch, not the log."""
    packer = msgspec.msgpack.Encoder()
    users = engine.read(dataset / USERS_FILE)
    events = engine.read(dataset / ENGAGEMENTS_FILE).filter(_.split != TEST)
    columns = [feature.column for feature in encoder.config.user]
    own = users.select(*dict.fromkeys([*OWN_COLUMNS, USER_INDEX, *columns]))
    num_parts = 1 + events.count().execute() // EVENTS_AT_ONCE
    with tqdm(total=users.count().execute(), desc="writing users", unit="user") as progress:
        for part in range(num_parts):
            of_part = events.filter(_[USER_INDEX] % num_parts == part)
            engaged = _engaged(of_part, encoder.config.history.length)
            chosen = own.filter(_[USER_INDEX] % num_parts == part)
            records = chosen.left_join(engaged, USER_INDEX).drop(f"{USER_INDEX}_right")
            in_order = records.order_by(Column.USER_ID)
            for batch in engine.batches(in_order, USERS_AT_ONCE):
                rows = batch.to_pylist()
                yield [
                    (key_of(row[Column.USER_ID]), packer.encode(_record(row, columns, as_of)))
                    for row in rows
                ]
                progress.update(len(rows))


def _engaged(events: ir.Table, length: int) -> ir.Table:
    """The history of each user, most recent first, and the pins that they have engaged with."""
    item = ibis.struct(
        {
            # Structs are sorted by their first fields: of one second, the later event comes first.
            "age": -events.timestamp,
            "place": -events.event_id,
            "pin_id": events.pin_id,
            "action": events.action,
            "timestamp": events.timestamp,
        }
    )
    engaged = events.mutate(item=item).group_by(USER_INDEX)
    return engaged.agg(
        **{HISTORY: _.item.collect().sort()[:length], SEEN: _.pin_id.collect().unique().sort()}
    )


def _record(row: dict, columns: list[str], as_of: int) -> UserRecord:
    return UserRecord(
        features={column: row[column] for column in columns},
        history=tuple(
            HistoryItem(pin_id=item["pin_id"], action=item["action"], timestamp=item["timestamp"])
            for item in row[HISTORY] or ()
        ),
        seen=tuple(row[SEEN] or ()),
        followed_interests=tuple(row[Column.FOLLOWED_INTERESTS] or ()),
        inferred_interests=tuple(row[Column.INFERRED_INTERESTS] or ()),
        as_of=as_of,
    )


def _pairs(batch: pa.RecordBatch) -> list[tuple[bytes, bytes]]:
    items = batch[ITEM_ID].to_pylist()
    return [
        (key_of(pin_id), item_id.encode())
        for pin_id, item_id in zip(batch[Column.PIN_ID].to_pylist(), items, strict=True)
    ]

"""Writes the users' snapshot of a release; apart from its reader, which serving imports."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
from ibis import _
from tqdm import tqdm

from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.items import ITEM_ID
from homefeed.dataset.layout import DATASET, DUPLICATES_FILE, USER_INDEX
from homefeed.engine import Engine, open_engine
from homefeed.events.layout import USERS_FILE
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.release.known_users import known_events, read_records
from homefeed.release.users import DUPLICATES_FILE as SNAPSHOT_DUPLICATES_FILE
from homefeed.release.users import USERS, key_of
from homefeed.release.users import USERS_FILE as SNAPSHOT_FILE
from homefeed.release.write_values import write_values

EVENTS_AT_ONCE = 5_000_000
"""Users are taken in parts of about so many events: lists are held in memory."""
DUPLICATES_AT_ONCE = 50_000


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
    events = known_events(engine, dataset)
    num_parts = 1 + events.count().execute() // EVENTS_AT_ONCE
    with tqdm(total=users.count().execute(), desc="writing users", unit="user") as progress:
        for part in range(num_parts):
            chosen = users.filter(_[USER_INDEX] % num_parts == part)
            of_part = events.filter(_[USER_INDEX] % num_parts == part)
            for records in read_records(engine, chosen, of_part, encoder, as_of):
                yield [(key_of(user_id), packer.encode(record)) for user_id, record in records]
                progress.update(len(records))


def _pairs(batch: pa.RecordBatch) -> list[tuple[bytes, bytes]]:
    items = batch[ITEM_ID].to_pylist()
    return [
        (key_of(pin_id), item_id.encode())
        for pin_id, item_id in zip(batch[Column.PIN_ID].to_pylist(), items, strict=True)
    ]

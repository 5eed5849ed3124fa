"""Writes the users' snapshot of a release; apart from its reader, which serving imports."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import lmdb
import msgspec
from tqdm import tqdm

from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.layout import DATASET, TEST
from homefeed.events.files import RESERVED
from homefeed.events.layout import ENGAGEMENTS_FILE, USERS_FILE
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, HistoryItem
from homefeed.features.users import UserRecord
from homefeed.release.users import USERS, user_key
from homefeed.release.users import USERS_FILE as SNAPSHOT_FILE

EVENTS_AT_ONCE = 5_000_000
"""Users are taken in parts of about so many events: DuckDB cannot spill lists to disk."""
USERS_AT_ONCE = 1_000
"""Users of one read and one LMDB transaction."""
FIRST_MAP_BYTES = 1 << 26

OWN_COLUMNS = (Column.USER_ID, Column.FOLLOWED_INTERESTS, Column.INFERRED_INTERESTS)

EVENTS = f"""
    SELECT user_id, pin_id, action, timestamp, event_id
    FROM read_parquet($engagements)
    WHERE split <> '{TEST}'
"""
HISTORY, SEEN = f"{RESERVED}history", f"{RESERVED}seen"
"""No column of the users bears such a name."""
RECORDS = f"""
    WITH events AS ({EVENTS}),
    chosen AS (SELECT {{columns}} FROM read_parquet($users) WHERE hash(user_id) % $parts = $part),
    engaged AS (
        SELECT
            user_id,
            list(
                struct_pack(pin_id := pin_id, action := action, timestamp := timestamp)
                ORDER BY timestamp DESC, event_id DESC
            )[:$length] AS history,
            list(DISTINCT pin_id ORDER BY pin_id) AS seen
        FROM events
        WHERE hash(user_id) % $parts = $part
        GROUP BY user_id
    )
    SELECT chosen.*, engaged.history AS {HISTORY}, engaged.seen AS {SEEN}
    FROM chosen LEFT JOIN engaged USING (user_id)
    ORDER BY user_id
"""


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
    output.mkdir(parents=True, exist_ok=True)
    serving_time = source.details["serving_time"]
    num_users = _write(output / SNAPSHOT_FILE, _records(dataset, encoder, serving_time))
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
    dataset: Path, encoder: FeatureEncoder, as_of: int
) -> Iterator[list[tuple[str, UserRecord]]]:
    """Users with what is known of them, in batches; memory follows the batch, not the log."""
    files = {
        "engagements": str(dataset / ENGAGEMENTS_FILE),
        "users": str(dataset / USERS_FILE),
    }
    columns = [feature.column for feature in encoder.config.user]
    query = RECORDS.format(columns=_identifiers([*OWN_COLUMNS, *columns]))
    with duckdb.connect() as connection:
        num_events, num_users = connection.execute(
            "SELECT (SELECT count(*) FROM read_parquet($engagements)), "
            "(SELECT count(*) FROM read_parquet($users))",
            files,
        ).fetchall()[0]
        num_parts = 1 + num_events // EVENTS_AT_ONCE
        with tqdm(total=num_users, desc="writing users", unit="user") as progress:
            for part in range(num_parts):
                asked = {"parts": num_parts, "part": part, "length": encoder.config.history.length}
                records = connection.sql(query, params=files | asked)
                for batch in records.to_arrow_reader(USERS_AT_ONCE):
                    rows = batch.to_pylist()
                    yield [(row[Column.USER_ID], _record(row, columns, as_of)) for row in rows]
                    progress.update(len(rows))


def _identifiers(names: Iterable[str]) -> str:
    """Columns as SQL names them, each once."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in dict.fromkeys(names))


def _record(row: dict, columns: list[str], as_of: int) -> UserRecord:
    return UserRecord(
        features={column: row[column] for column in columns},
        history=tuple(HistoryItem(**item) for item in row[HISTORY] or ()),
        seen=tuple(row[SEEN] or ()),
        followed_interests=tuple(row[Column.FOLLOWED_INTERESTS] or ()),
        inferred_interests=tuple(row[Column.INFERRED_INTERESTS] or ()),
        as_of=as_of,
    )


def _write(path: Path, batches: Iterator[list[tuple[str, UserRecord]]]) -> int:
    """Writes the LMDB file; returns the number of users."""
    encoder = msgspec.msgpack.Encoder()
    num_users = 0
    # sync: the manifest, written last, says that the file is whole.
    with lmdb.open(
        str(path), subdir=False, lock=False, map_size=FIRST_MAP_BYTES, sync=False
    ) as environment:
        for batch in batches:
            items = [(user_key(user_id), encoder.encode(record)) for user_id, record in batch]
            _put(environment, items)
            num_users += len(items)
        environment.sync(True)
    return num_users


def _put(environment: lmdb.Environment, items: list[tuple[bytes, bytes]]) -> None:
    """Puts a batch in one transaction, in a larger map where it does not fit."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in items:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])

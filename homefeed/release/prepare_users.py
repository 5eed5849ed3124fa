"""Writes a release's users by its own numbers, which costs each of them once and no request."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from homefeed.contracts import read_manifest
from homefeed.features.encoder import FeatureEncoder
from homefeed.features.users import PreparedUser, UserRecord
from homefeed.index.layout import PIN_ID_BYTES, PIN_ID_OFFSETS, load_array
from homefeed.release.users import USERS, UserSnapshot
from homefeed.release.write_values import write_values

USERS_AT_ONCE = 10_000
"""For each batch the ids of the whole index are hashed."""


def prepare_users(users: Path, index: Path, encoder: FeatureEncoder, output: Path) -> None:
    """Writes each user of a snapshot as `PreparedUser`.

    Args:
        users: the users' snapshot artifact.
        index: the index artifact; what users have seen beyond it has no rows.
        encoder: of the towers.
        output: the file.
    """
    write_values(output, _prepared(users, index, encoder))


def _prepared(
    users: Path, index: Path, encoder: FeatureEncoder
) -> Iterator[list[tuple[bytes, bytes]]]:
    known = pc.SetLookupOptions(value_set=_pin_ids(index))
    decoder = msgspec.msgpack.Decoder(UserRecord)
    packer = msgspec.msgpack.Encoder()
    num_users = read_manifest(users, USERS).details["num_users"]
    with (
        UserSnapshot.open(users) as snapshot,
        tqdm(total=num_users, desc="preparing users", unit="user") as progress,
    ):
        for batch in snapshot.batches(USERS_AT_ONCE):
            records = [decoder.decode(value) for _, value in batch]
            seen_rows = _seen_rows(records, known)
            yield [
                (key, packer.encode(_prepare(record, rows, encoder)))
                for (key, _), record, rows in zip(batch, records, seen_rows, strict=True)
            ]
            progress.update(len(batch))


def _pin_ids(index: Path) -> pa.LargeStringArray:
    """The ids of an index's rows, mapped."""
    offsets, encoded = load_array(index, PIN_ID_OFFSETS), load_array(index, PIN_ID_BYTES)
    buffers = pa.py_buffer(offsets), pa.py_buffer(encoded)
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers)


def _seen_rows(records: list[UserRecord], known: pc.SetLookupOptions) -> list[np.ndarray]:
    """The rows that hold what each user has seen; −1 for a pin that none holds."""
    seen = pa.array(chain.from_iterable(record.seen for record in records), pa.large_string())
    rows = pc.call_function("index_in", [seen], known).fill_null(-1).to_numpy()
    return np.split(rows, np.cumsum([len(record.seen) for record in records])[:-1])


def _prepare(record: UserRecord, rows: np.ndarray, encoder: FeatureEncoder) -> PreparedUser:
    return PreparedUser(
        record.features,
        encoder.encode_history(record.history).astype("<i4").tobytes(),
        np.unique(rows[rows >= 0]).astype("<i4").tobytes(),
        record.followed_interests,
        record.inferred_interests,
        record.as_of,
    )

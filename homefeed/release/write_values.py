"""Writes LMDB files, which serving maps read-only."""

from collections.abc import Iterable
from pathlib import Path

import lmdb

FIRST_MAP_BYTES = 1 << 26


def write_values(path: Path, batches: Iterable[list[tuple[bytes, bytes]]]) -> int:
    """Writes values by key, a transaction for each batch.

    Returns:
        How many were written.
    """
    num_written = 0
    # sync: the manifest, written last, says that the file is whole.
    with lmdb.open(
        str(path), subdir=False, lock=False, map_size=FIRST_MAP_BYTES, sync=False
    ) as environment:
        for batch in batches:
            _put(environment, batch)
            num_written += len(batch)
        environment.sync(True)
    return num_written


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

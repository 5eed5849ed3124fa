"""Users by id, and the snapshot of them in a release: read-only files, mapped by every worker.

`users.mdb` holds what is known of each user; `duplicates.mdb`, where the log has any, the items of
pins that others stand for. A release speaks of items alone, so ids from outside go through it.
Beside the snapshot a release holds its users prepared for serving, by rows of its own.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol

import lmdb
import msgspec

from homefeed.contracts import read_manifest
from homefeed.features.users import PreparedUser, UserRecord

USERS = "users"
"""Kind of the artifact."""
USERS_FILE = "users.mdb"
DUPLICATES_FILE = "duplicates.mdb"

MAX_KEY_BYTES = 511
"""LMDB's limit."""
HASHED_KEY = b"\xff"
"""Begins the key of an id that LMDB cannot hold; no UTF-8 text has this byte."""

_decoder = msgspec.msgpack.Decoder(UserRecord)
_prepared_decoder = msgspec.msgpack.Decoder(PreparedUser)


class UserStore(Protocol):
    """Where users are looked up: the release's snapshot, or Redis."""

    def get(self, user_id: str) -> UserRecord | None:
        """What is known of a user; None for a user that the store does not hold."""
        ...

    def close(self) -> None:
        """Lets go of what it holds open."""
        ...


def key_of(own_id: str) -> bytes:
    """The key of a user or pin: the id itself where LMDB can hold it, else its hash."""
    encoded = own_id.encode()
    if 0 < len(encoded) <= MAX_KEY_BYTES:
        return encoded
    return HASHED_KEY + hashlib.sha256(encoded).digest()


class UserSnapshot:
    """Users by id; safe to use from several threads, and on a read-only file system."""

    def __init__(
        self, environment: lmdb.Environment, duplicates: lmdb.Environment | None = None
    ) -> None:
        self._environment = environment
        self._duplicates = duplicates

    @classmethod
    def open(cls, folder: Path) -> "UserSnapshot":
        """Maps a snapshot.

        Raises:
            ValueError: the folder is no finished snapshot of this version.
        """
        manifest = read_manifest(folder, USERS)
        has_duplicates = DUPLICATES_FILE in manifest.files
        return cls(
            _map(folder / USERS_FILE), _map(folder / DUPLICATES_FILE) if has_duplicates else None
        )

    def get(self, user_id: str) -> UserRecord | None:
        """What is known of a user; None for a user that the snapshot does not hold."""
        with self._environment.begin(buffers=True) as transaction:
            value = transaction.get(key_of(user_id))
            return None if value is None else _decoder.decode(value)

    def batches(self, num_users: int) -> Iterator[list[tuple[bytes, bytes]]]:
        """All users in batches: keys as `key_of` makes them, and records as msgpack."""
        with self._environment.begin() as transaction:
            items = iter(transaction.cursor())
            while batch := list(islice(items, num_users)):
                yield batch

    def item_of(self, pin_id: str) -> str:
        """The id of the pin that stands for a pin; itself where none other does."""
        if self._duplicates is None:
            return pin_id
        with self._duplicates.begin() as transaction:
            value = transaction.get(key_of(pin_id))
            return pin_id if value is None else value.decode()

    def close(self) -> None:
        """Unmaps the files; no thread may be reading."""
        self._environment.close()
        if self._duplicates is not None:
            self._duplicates.close()

    def __enter__(self) -> "UserSnapshot":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class PreparedUsers:
    """Users of a release by id, prepared for serving; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Maps the file."""
        self._environment = _map(path)

    def get(self, user_id: str) -> PreparedUser | None:
        """What is known of a user; None for a user that the snapshot does not hold."""
        with self._environment.begin(buffers=True) as transaction:
            value = transaction.get(key_of(user_id))
            return None if value is None else _prepared_decoder.decode(value)

    def close(self) -> None:
        """Unmaps the file; no thread may be reading."""
        self._environment.close()


def _map(path: Path) -> lmdb.Environment:
    # Nobody ever writes to the file again, so no lock file is needed, which a read-only file
    # system would refuse; readahead would page in neighbours that nobody asked for.
    return lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False)

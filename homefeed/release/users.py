"""Users by id, and the snapshot of them in a release: a read-only file, mapped by every worker."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol

import lmdb
import msgspec

from homefeed.contracts import read_manifest
from homefeed.features.users import UserRecord

USERS = "users"
"""Kind of the artifact."""
USERS_FILE = "users.mdb"

MAX_KEY_BYTES = 511
"""LMDB's limit."""
HASHED_KEY = b"\xff"
"""Begins the key of an id that LMDB cannot hold; no UTF-8 text has this byte."""

_decoder = msgspec.msgpack.Decoder(UserRecord)


class UserStore(Protocol):
    """Where users are looked up: the release's snapshot, or Redis."""

    def get(self, user_id: str) -> UserRecord | None:
        """What is known of a user; None for a user that the store does not hold."""
        ...

    def close(self) -> None:
        """Lets go of what it holds open."""
        ...


def user_key(user_id: str) -> bytes:
    """The key of a user: the id itself where LMDB can hold it, else its hash."""
    encoded = user_id.encode()
    if 0 < len(encoded) <= MAX_KEY_BYTES:
        return encoded
    return HASHED_KEY + hashlib.sha256(encoded).digest()


class UserSnapshot:
    """Users by id; safe to use from several threads, and on a read-only file system."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self._environment = environment

    @classmethod
    def open(cls, folder: Path) -> "UserSnapshot":
        """Maps a snapshot.

        Raises:
            ValueError: the folder is no finished snapshot of this version.
        """
        read_manifest(folder, USERS)
        # Nobody ever writes to the file again, so no lock file is needed, which a read-only file
        # system would refuse; readahead would page in neighbours that nobody asked for.
        environment = lmdb.open(
            str(folder / USERS_FILE), subdir=False, readonly=True, lock=False, readahead=False
        )
        return cls(environment)

    def get(self, user_id: str) -> UserRecord | None:
        """What is known of a user; None for a user that the snapshot does not hold."""
        with self._environment.begin(buffers=True) as transaction:
            value = transaction.get(user_key(user_id))
            return None if value is None else _decoder.decode(value)

    def batches(self, num_users: int) -> Iterator[list[tuple[bytes, bytes]]]:
        """All users in batches: keys as `user_key` makes them, and records as msgpack."""
        with self._environment.begin() as transaction:
            items = iter(transaction.cursor())
            while batch := list(islice(items, num_users)):
                yield batch

    def close(self) -> None:
        """Unmaps the file; no thread may be reading."""
        self._environment.close()

    def __enter__(self) -> "UserSnapshot":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

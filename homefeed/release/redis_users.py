"""Users in Redis, fresher than a release's snapshot can be.

One string a user: the key is a prefix and `key_of`, the value a `UserRecord` as msgpack. Whoever
knows more of a user sets it anew, with `as_of`; `homefeed.release.materialise` writes a snapshot's.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from typing import Any

import msgspec

from homefeed.features.users import UserRecord
from homefeed.release.redis_connection import DEFAULT_PREFIX, connect
from homefeed.release.users import key_of

PAUSE_SECONDS = 1.0
"""How long Redis is left alone after it did not answer: what is down costs one deadline a second,
and what is overloaded gets no crowd of requests that it cannot answer in time."""

_decoder = msgspec.msgpack.Decoder(UserRecord)
Check = Callable[[Sequence[UserRecord]], None]
_undecodable = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Reason(StrEnum):
    """Why Redis did not answer."""

    UNREACHABLE = "unreachable"  # it is down, or went down
    LATE = "late"  # the deadline has passed
    REFUSED = "refused"  # a wrong password, a cluster's node, or still loading
    PAUSED = "paused"  # it did not answer a moment ago, and was not asked


class RedisUsersError(Exception):
    """Redis did not answer."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnusableRecord(ValueError):
    """What Redis holds of a user cannot be used; says why."""


class RedisUsers:
    """Users by id; for one thread.

    A thread of its own asks, so that the deadline holds for all that may take long: the name
    server, the connection, every part of the answer. Nothing is asked twice.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        deadline_seconds: float = 0.05,
        pause_seconds: float = PAUSE_SECONDS,
        check: Check = lambda records: None,
    ) -> None:
        """Connects with the first request.

        Args:
            url: of Redis, without the password; see `redis_connection`.
            prefix: what the keys begin with.
            deadline_seconds: most time for an answer.
            pause_seconds: how long it is left alone after it did not answer.
            check: raises ValueError where one of some records cannot be used.
        """
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._prefix = prefix.encode()
        self._deadline_seconds = deadline_seconds
        self._pause_seconds = pause_seconds
        self._check = check
        self._client = connect(
            url,
            socket_timeout=deadline_seconds,
            socket_connect_timeout=deadline_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._thread = ThreadPoolExecutor(1, "redis-users")
        self._asked: Future[Any] | None = None
        self._paused_until = 0.0

    def get(self, user_id: str) -> UserRecord | None:
        """What is known of a user; None for a user that Redis does not hold.

        Raises:
            RedisUsersError: Redis did not answer in time.
            UnusableRecord: what it holds is no record, or not one that passes the check.
        """
        (found,) = self.get_many([user_id])
        if isinstance(found, UnusableRecord):
            raise found
        return found

    def get_many(self, user_ids: Sequence[str]) -> list[UserRecord | UnusableRecord | None]:
        """What is known of some users, at least one, by one request; in order.

        Raises:
            RedisUsersError: Redis did not answer in time.
        """
        keys = [self._prefix + key_of(user_id) for user_id in user_ids]
        found = [None if value is None else _decode(value) for value in self._ask(keys)]
        records = [each for each in found if isinstance(each, UserRecord)]
        # Together they cost a fraction, and one by one they are only asked which it is.
        if not records or self._complaint(records) is None:
            return found
        return [
            complaint
            if isinstance(each, UserRecord) and (complaint := self._complaint([each]))
            else each
            for each in found
        ]

    def close(self) -> None:
        """Closes the connection; an answer that is late is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _complaint(self, records: Sequence[UserRecord]) -> UnusableRecord | None:
        try:
            self._check(records)
        except ValueError as error:
            return UnusableRecord(str(error))
        return None

    def _ask(self, keys: list[bytes]) -> list[bytes | None]:
        from redis import exceptions

        # An answer that never comes keeps the thread; others must not queue up behind it.
        is_stuck = self._asked is not None and not self._asked.done()
        if is_stuck or time.monotonic() < self._paused_until:
            raise RedisUsersError(Reason.PAUSED, "it did not answer a moment ago")
        self._asked = self._thread.submit(self._client.mget, keys)
        try:
            return self._asked.result(self._deadline_seconds)
        # Futures' own is Python's; redis-py's is not.
        except (TimeoutError, exceptions.TimeoutError) as error:
            message = f"no answer within {self._deadline_seconds} seconds"
            raise self._failed(Reason.LATE, message) from error
        except (exceptions.ConnectionError, OSError) as error:
            is_refused = isinstance(
                error, exceptions.AuthenticationError | exceptions.BusyLoadingError
            )
            reason = Reason.REFUSED if is_refused else Reason.UNREACHABLE
            raise self._failed(reason, str(error)) from error
        except exceptions.RedisError as error:
            raise self._failed(Reason.REFUSED, str(error)) from error

    def _failed(self, reason: Reason, message: str) -> RedisUsersError:
        self._paused_until = time.monotonic() + self._pause_seconds
        return RedisUsersError(reason, message)


def _decode(value: bytes) -> UserRecord | UnusableRecord:
    try:
        return _decoder.decode(value)
    except _undecodable as error:
        return UnusableRecord(f"{type(error).__name__}: {error}")

"""Asks the index sidecar over its Unix socket, on one connection that is kept open."""

import time
from enum import StrEnum
from pathlib import Path

import msgspec

from homefeed.index.protocol import SearchRequest, SearchResponse
from serving.torchserve.circuit_breaker import CircuitBreaker
from serving.torchserve.unix_connection import UnixConnection

PATH = b"/search"
PAUSE_SECONDS = 1.0
"""How long a sidecar that is late is left alone: it then costs one deadline a second."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SearchResponse)


class Reason(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"  # it is down, or went down
    LATE = "late"  # the deadline has passed
    OVERLOADED = "overloaded"  # 429 or 503
    OTHER_EMBEDDING_SPACE = "other_embedding_space"  # 409: it serves another model's release
    OTHER_VERSION = "other_version"  # 409: it does not hold the release that is asked for
    REFUSED = "refused"  # anything else
    PAUSED = "paused"  # it was late a moment ago, and was not asked


STATUS_REASONS = {
    429: Reason.OVERLOADED,
    503: Reason.OVERLOADED,
}
CONFLICT = 409
CONFLICT_REASONS = {
    reason.value: reason for reason in (Reason.OTHER_EMBEDDING_SPACE, Reason.OTHER_VERSION)
}
"""By the code of the error, which is called the same."""


class _ErrorDetail(msgspec.Struct):
    code: str


class _ErrorBody(msgspec.Struct):
    error: _ErrorDetail


class SidecarError(Exception):
    """The sidecar did not answer a search."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SidecarClient:
    """A client for one thread.

    It asks less of a sidecar that is late only. One that is down says so at once and costs nothing,
    and left alone it would be found again later. One that refuses for overload refuses single
    batches, whose neighbours it answers; what its Retry-After asks for, whole seconds, would have
    them all go without.
    """

    def __init__(
        self, socket_path: Path, deadline_seconds: float, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        """Connects with the first search.

        Args:
            socket_path: the sidecar's Unix socket.
            deadline_seconds: most time for an answer.
            pause_seconds: how long it is left alone after it was late several times in a row.
        """
        self._connection = UnixConnection(socket_path, "application/msgpack")
        self._deadline_seconds = deadline_seconds
        self._breaker = CircuitBreaker(pause_seconds)

    def search(self, request: SearchRequest) -> SearchResponse:
        """Sends a batch of queries, each of which is answered or refused by itself.

        Raises:
            SidecarError: no answer to the batch in time.
        """
        if self._breaker.is_open:
            raise SidecarError(Reason.PAUSED, "it was late a moment ago")
        body = _encoder.encode(request)
        try:
            status, answer = self._exchange(body, time.monotonic() + self._deadline_seconds)
        except TimeoutError as error:
            self.close()
            self._breaker.late()
            message = f"no answer within {self._deadline_seconds} seconds"
            raise SidecarError(Reason.LATE, message) from error
        except OSError as error:
            self.close()
            raise SidecarError(Reason.UNREACHABLE, repr(error)) from error
        self._breaker.answered()
        if status != 200:
            raise SidecarError(
                _reason(status, answer), f"status {status}: {answer.decode(errors='replace')}"
            )
        try:
            response = _decoder.decode(answer)
        except msgspec.MsgspecError as error:
            message = f"the answer is no SearchResponse: {error}"
            raise SidecarError(Reason.REFUSED, message) from error
        assert len(response.answers) == len(request.queries)
        return response

    def close(self) -> None:
        """Closes the connection; the next search opens another."""
        self._connection.close()

    def _exchange(self, body: bytes, deadline: float) -> tuple[int, bytes]:
        if self._connection.is_open:
            try:
                return self._connection.post(PATH, body, deadline)
            except TimeoutError:
                raise
            except OSError:
                # The sidecar may have been restarted since; a search can be asked twice.
                self.close()
        return self._connection.post(PATH, body, deadline)


def _reason(status: int, answer: bytes) -> Reason:
    if status != CONFLICT:
        return STATUS_REASONS.get(status, Reason.REFUSED)
    try:
        code = msgspec.json.decode(answer, type=_ErrorBody).error.code
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Reason.REFUSED
    return CONFLICT_REASONS.get(code, Reason.REFUSED)

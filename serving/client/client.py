"""A typed client: `HomefeedClient("http://...").recommend("user", k=20)`."""

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Required, TypedDict

import httpx
import msgspec

from serving.torchserve.protocol import DEFAULT_K, ErrorBody, HistoryEntry, Recommendations

PATH = "/predictions/homefeed"
RETRIED_STATUSES = (429, 503)
FIRST_PAUSE_SECONDS = 0.05
"""The longest pause before the first retry; it doubles with each."""
DEFAULT_CONCURRENCY = 16
"""As many as a worker takes at once, by default."""


class HomefeedError(Exception):
    """A request without recommendations; `status` is 0 where there was no answer at all."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class InvalidRequestError(HomefeedError):
    """The request is wrong in `field`; asking again will not help."""

    def __init__(self, message: str, status: int, field: str) -> None:
        super().__init__(f"{field}: {message}", status)
        self.field = field


class UnavailableError(HomefeedError):
    """The service is down, late or overloaded, after all retries."""


class ClientRequest(TypedDict, total=False):
    """One request of `HomefeedClient.recommend_many`: what `recommend` takes."""

    user_id: Required[str]
    k: int
    interests: Sequence[str]
    exclude: Sequence[str]
    history: Sequence[HistoryEntry] | None
    features: Mapping[str, Any] | None
    include_seen: bool
    conditions: Sequence[str] | None


class HomefeedClient:
    """Keeps its connections open; safe to use from several threads.

    Connection errors and refusals for overload are retried after random pauses. A request that
    takes too long is not: asking again would add to the load that made it late.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 2.0, num_retries: int = 3) -> None:
        # No proxy of the environment knows this machine's own addresses.
        direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1")}
        # One for each caller at once: a wait for a connection would pass for a late answer.
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.Client(
            base_url=url, timeout=timeout_seconds, mounts=direct, limits=limits
        )
        self._num_retries = num_retries

    def recommend(
        self,
        user_id: str,
        *,
        k: int = DEFAULT_K,
        interests: Sequence[str] = (),
        exclude: Sequence[str] = (),
        history: Sequence[HistoryEntry] | None = None,
        features: Mapping[str, Any] | None = None,
        include_seen: bool = False,
        conditions: Sequence[str] | None = None,
    ) -> Recommendations:
        """Asks for k pins for a user.

        Args:
            user_id: the user; one that the service does not know is answered too.
            k: most pins to return.
            interests: only pins that have one of these; empty is no filter.
            exclude: pins that must not come back.
            history: replaces the user's history on record, most recent first.
            features: replaces the recorded values of the features it names.
            include_seen: whether pins of the history may come back.
            conditions: interests that some pins are found for by an embedding of their own; None
                leaves them to the service, an empty list wants none.

        Raises:
            InvalidRequestError: the request is wrong; names the field and what is valid.
            UnavailableError: no answer in time, or none after all retries.
            HomefeedError: the service failed.
        """
        request: dict[str, Any] = {
            "user_id": user_id,
            "k": k,
            "interests": interests,
            "exclude": exclude,
            "history": history,
            "features": features or {},
            "include_seen": include_seen,
        }
        if conditions is not None:  # services that do not know the field refuse it
            request["conditions"] = conditions
        answer = self._send(msgspec.json.encode(request))
        if answer.status_code != 200:
            raise _error(answer)
        try:
            return msgspec.json.decode(answer.content, type=Recommendations)
        except msgspec.MsgspecError as error:
            raise HomefeedError(f"the answer is none of homefeed's: {error}", 200) from error

    def recommend_many(
        self, requests: Sequence[ClientRequest], *, concurrency: int = DEFAULT_CONCURRENCY
    ) -> list[Recommendations | HomefeedError]:
        """Sends several requests at a time; the service batches those that arrive together.

        Args:
            requests: the arguments of `recommend`, for each.
            concurrency: most requests that are on their way at once.

        Returns:
            For each request, in order, its answer, or the error that `recommend` would raise.

        Raises:
            ValueError: the concurrency is below 1.
        """
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency} must be at least 1")
        with ThreadPoolExecutor(concurrency) as threads:
            return list(threads.map(self._try, requests))

    def _try(self, request: ClientRequest) -> Recommendations | HomefeedError:
        try:
            return self.recommend(**request)
        except HomefeedError as error:
            return error

    def _send(self, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        for attempt in range(self._num_retries + 1):
            is_last = attempt == self._num_retries
            try:
                answer = self._http.post(PATH, content=body, headers=headers)
                if answer.status_code not in RETRIED_STATUSES or is_last:
                    return answer
            except httpx.TimeoutException as error:
                raise UnavailableError(f"no answer in time: {error!r}") from error
            except httpx.TransportError as error:
                if is_last:
                    raise UnavailableError(f"no connection: {error!r}") from error
            # At random, or all callers that were refused together would come back together.
            time.sleep(random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> "HomefeedClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _error(answer: httpx.Response) -> HomefeedError:
    status = answer.status_code
    text = f"status {status}: {answer.text}"
    if status in RETRIED_STATUSES:
        return UnavailableError(text, status)
    if 400 <= status < 500:
        try:
            detail = msgspec.json.decode(answer.content, type=ErrorBody).error
        except msgspec.MsgspecError:  # TorchServe's own, or a gateway's
            return HomefeedError(text, status)
        return InvalidRequestError(detail.message, status, detail.field)
    return HomefeedError(text, status)

"""Request bodies in, checked requests out: every error names the field and what is valid."""

import re
from collections.abc import Collection
from typing import Annotated, Any, NamedTuple

import msgspec

from homefeed.features.config import Categorical, Feature, Numeric
from serving.torchserve.protocol import (
    MAX_K,
    MAX_LIST_LENGTH,
    MAX_USER_ID_LENGTH,
    ErrorBody,
    ErrorDetail,
    HistoryEntry,
    Request,
)

MAX_BODY_BYTES = 1 << 20
NUM_NAMES_IN_ERROR = 50

VALID = {
    "user_id": f"a string of 1 to {MAX_USER_ID_LENGTH} characters",
    "k": f"an integer from 1 to {MAX_K}",
    "interests": "a list of names of interests",
    "exclude": f"a list of at most {MAX_LIST_LENGTH} pin ids",
    "history": f"a list of at most {MAX_LIST_LENGTH} objects with pin_id, action and, in all or "
    "none of them, timestamp in Unix seconds",
    "features": "an object of user features",
    "include_seen": "true or false",
}
"""What each field takes, for people."""

BODY = "body"
"""Stands in for a field where the whole body is wrong."""

_request_decoder = msgspec.json.Decoder(Request)
_undecodable = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_named_field = re.compile(r"field `(.*)`")


class InvalidRequest(Exception):
    """A request that cannot be answered, and the answer that says why."""

    def __init__(self, field: str, message: str, status: int = 400) -> None:
        super().__init__(f"{field}: {message}")
        self.status = status
        self.body = ErrorBody(ErrorDetail(field, message))


class CheckedRequest(NamedTuple):
    """A request whose interests, history and features are known to be valid."""

    request: Request
    features: dict[str, Any]
    history: tuple[HistoryEntry, ...] | None


class RequestParser:
    """Checks requests against one release."""

    def __init__(self, features: Collection[Feature], interests: Collection[str]) -> None:
        self._features = {each.column: _decoder(each) for each in features}
        self._interests = frozenset(interests)

    def parse(self, body: bytes | bytearray | None) -> CheckedRequest:
        """Reads and checks one request.

        Args:
            body: JSON; None where the request carried something else.

        Raises:
            InvalidRequest: the body is no valid request.
        """
        if body is None:
            message = "send a JSON object with Content-Type: application/json"
            raise InvalidRequest(BODY, message, 415)
        if len(body) > MAX_BODY_BYTES:
            message = f"holds {len(body)} bytes; at most {MAX_BODY_BYTES} are taken"
            raise InvalidRequest(BODY, message, 413)
        if not body:
            raise InvalidRequest(BODY, 'is empty; send a JSON object such as {"user_id": "1"}')
        try:
            request = _request_decoder.decode(body)
        except _undecodable as error:
            raise _explain(error) from error
        self._check_interests(request.interests)
        return CheckedRequest(
            request, self._decode_features(request.features), _sort(request.history)
        )

    def _check_interests(self, interests: Collection[str]) -> None:
        for name in interests:
            if name not in self._interests:
                there = _listed(sorted(self._interests))
                raise InvalidRequest("interests", f"no pin has {name!r}; there are {there}")

    def _decode_features(self, given: dict[str, msgspec.Raw]) -> dict[str, Any]:
        values = {}
        for name, raw in given.items():
            field = f"features.{name}"
            if name not in self._features:
                there = _listed(sorted(self._features))
                raise InvalidRequest(field, f"is no feature; there are {there}")
            try:
                values[name] = self._features[name].decode(raw)
            except _undecodable as error:
                raise InvalidRequest(field, _reason(error)) from error
        return values


def _decoder(feature: Feature) -> msgspec.json.Decoder:
    """Decodes what the encoder takes as a value of the feature; null is an unknown value."""
    kind: Any
    if isinstance(feature, Numeric):
        kind = float
    elif isinstance(feature, Categorical):
        kind = str if feature.values == 1 else list[str]
    else:
        length = msgspec.Meta(min_length=feature.dimension, max_length=feature.dimension)
        kind = Annotated[list[float], length]
    return msgspec.json.Decoder(kind | None)


def _sort(history: tuple[HistoryEntry, ...] | None) -> tuple[HistoryEntry, ...] | None:
    """The history, most recent first.

    Raises:
        InvalidRequest: some entries have a timestamp and some have none.
    """
    if not history:
        return history
    lacking = [place for place, entry in enumerate(history) if entry.timestamp is None]
    if len(lacking) == len(history):
        return history
    if lacking:
        message = f"is missing; history must be {VALID['history']}"
        raise InvalidRequest(f"history[{lacking[0]}].timestamp", message)
    return tuple(sorted(history, key=lambda entry: entry.timestamp or 0, reverse=True))


def _explain(error: Exception) -> InvalidRequest:
    """Takes the field out of what msgspec says, and adds what is valid there."""
    reason, _, place = str(error).partition(" - at `$")
    path = place.removesuffix("`")
    if named := _named_field.search(reason):
        path = f"{path}.{named[1]}"
    path = path.removeprefix(".")
    if not path:
        return InvalidRequest(BODY, f"{_reason(error)}; it must be a JSON object")
    top = re.split(r"[.[]", path, maxsplit=1)[0]
    if top not in VALID:
        return InvalidRequest(path, f"is no field; there are {', '.join(VALID)}")
    return InvalidRequest(path, f"{_reason(error)}; {top} must be {VALID[top]}")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    reason, _, _ = str(error).partition(" - at `$")
    return reason


def _listed(names: list[str]) -> str:
    more = len(names) - NUM_NAMES_IN_ERROR
    there = ", ".join(names[:NUM_NAMES_IN_ERROR]) or "none"
    return there + (f" and {more} more" if more > 0 else "")

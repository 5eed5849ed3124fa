"""Request bodies in, checked requests out: every error names the field and what is valid."""

import json
import re
from collections.abc import Collection
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from homefeed.features.config import Categorical, Feature, Numeric
from serving.torchserve.conditions import LISTS
from serving.torchserve.protocol import (
    MAX_CONDITIONS,
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
MAX_ECHO = 100
"""Characters of a name that errors repeat: a hostile one may fill the whole body."""
MAX_FLOAT32 = float(np.finfo(np.float32).max)

VALID = {
    "user_id": f"a string of 1 to {MAX_USER_ID_LENGTH} characters",
    "k": f"an integer from 1 to {MAX_K}",
    "interests": f"a list of at most {MAX_LIST_LENGTH} names of interests",
    "exclude": f"a list of at most {MAX_LIST_LENGTH} pin ids",
    "history": f"a list of at most {MAX_LIST_LENGTH} objects with pin_id, action and, in all or "
    "none of them, timestamp in Unix seconds",
    "features": "an object of user features",
    "include_seen": "true or false",
    "conditions": f"a list of at most {MAX_CONDITIONS} names of interests, or null",
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
    """A request whose interests, conditions, history and features are known to be valid."""

    request: Request
    features: dict[str, Any]
    history: tuple[HistoryEntry, ...] | None


class RequestParser:
    """Checks requests against one release."""

    def __init__(
        self,
        features: Collection[Feature],
        interests: Collection[str],
        is_conditional: bool = False,
    ) -> None:
        """Takes what is valid.

        Args:
            features: of users, that the tower is fed.
            interests: those that pins of the index have.
            is_conditional: whether the tower knows conditions. Requests may give the features that
                they follow from then, whether the tower is fed them or not.
        """
        taken = [*LISTS, *features] if is_conditional else features
        self._features = {each.column: _values(each) for each in taken}
        self._interests = frozenset(interests)
        self._is_conditional = is_conditional
        # Sorted once, as they are thousands.
        self._listed_features = _listed(sorted(self._features))
        self._listed_interests = _listed(sorted(self._interests))

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
            raise InvalidRequest(BODY, 'is empty; POST a JSON object such as {"user_id": "1"}')
        try:
            request = _request_decoder.decode(body)
        except _undecodable as error:
            raise _explain(error) from error
        self._check_interests("interests", request.interests)
        self._check_conditions(request)
        checked = CheckedRequest(
            request, self._decode_features(request.features), _sort(request.history)
        )
        # Parsers differ in which of two equal names they take: the caller may mean the other one.
        # It comes last, when nothing is left in the body that could take this slow parser long.
        _strict_decoder.decode(body.decode(errors="surrogatepass"))
        return checked

    def _check_interests(self, field: str, interests: Collection[str]) -> None:
        for name in interests:
            if name not in self._interests:
                message = f"no pin has {_cut(name)!r}; there are {self._listed_interests}"
                raise InvalidRequest(field, message)

    def _check_conditions(self, request: Request) -> None:
        if not request.conditions:
            return
        if not self._is_conditional:
            message = "this release's model was trained without conditions; leave them out"
            raise InvalidRequest("conditions", message)
        self._check_interests("conditions", request.conditions)
        for name in request.conditions:
            if request.interests and name not in request.interests:
                valid = _cut(_listed(sorted(set(request.interests))))
                message = f"{_cut(name)!r} is not among the request's interests; these are {valid}"
                raise InvalidRequest("conditions", message)

    def _decode_features(self, given: dict[str, msgspec.Raw]) -> dict[str, Any]:
        values = {}
        for name, raw in given.items():
            field = f"features.{_cut(name)}"
            if name not in self._features:
                raise InvalidRequest(field, f"is no feature; there are {self._listed_features}")
            decoder, valid = self._features[name]
            try:
                values[name] = decoder.decode(raw)
            except _undecodable as error:
                raise InvalidRequest(field, f"{_reason(error)}; it must be {valid}") from error
        return values


class _Values(NamedTuple):
    """What the encoder takes as a value of a feature, for programs and for people."""

    decoder: msgspec.json.Decoder
    valid: str


def _values(feature: Feature) -> _Values:
    kind: Any
    number = Annotated[float, msgspec.Meta(ge=-MAX_FLOAT32, le=MAX_FLOAT32)]
    if isinstance(feature, Numeric):
        kind, valid = number, "a float32 number"
    elif isinstance(feature, Categorical):
        single = feature.values == 1
        kind, valid = (str, "a string") if single else (list[str], "a list of strings")
    else:
        length = msgspec.Meta(min_length=feature.dimension, max_length=feature.dimension)
        kind, valid = Annotated[list[number], length], f"{feature.dimension} float32 numbers"
    return _Values(msgspec.json.Decoder(kind | None), f"{valid}, or null where it is unknown")


def _refuse_doubled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Takes the members of a JSON object.

    Raises:
        InvalidRequest: two of them have the same name.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in members if names.count(name) > 1)
        raise InvalidRequest(doubled, "is there more than once; send it once")
    return members


_strict_decoder = json.JSONDecoder(object_pairs_hook=_refuse_doubled)


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
        return InvalidRequest(_cut(path), f"is no field; there are {', '.join(VALID)}")
    return InvalidRequest(_cut(path), f"{_reason(error)}; {top} must be {VALID[top]}")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    reason, _, _ = str(error).partition(" - at `$")
    return _cut(reason)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ECHO else f"{text[:MAX_ECHO]}..."


def _listed(names: list[str]) -> str:
    more = len(names) - NUM_NAMES_IN_ERROR
    there = ", ".join(names[:NUM_NAMES_IN_ERROR]) or "none"
    return there + (f" and {more} more" if more > 0 else "")

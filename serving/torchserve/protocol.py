"""What the REST API takes and answers, `POST /predictions/homefeed`; the client shares it."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

DEFAULT_K = 20
MAX_K = 1000
MAX_USER_ID_LENGTH = 512
MAX_LIST_LENGTH = 10_000
"""Most entries of `interests`, `exclude` and `history`."""
MAX_CONDITIONS = 16
"""Each takes the tower as long as another user does."""
MAX_TIMESTAMP = (1 << 63) - 1


class HistoryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One engagement that the caller knows of; `timestamp` is in Unix seconds."""

    pin_id: str
    action: str
    timestamp: Annotated[int, Meta(ge=-MAX_TIMESTAMP, le=MAX_TIMESTAMP)] | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for `k` pins for a user.

    `interests` filters, several are a union. `exclude` are pins that must not come back. `history`
    replaces the one on record, most recent first, unless every entry has a timestamp to sort by.
    `features` replaces the recorded values of the columns it names. Pins of the user's history are
    left out unless `include_seen`.

    `conditions` are interests that some of the pins are found for, each by an embedding of its own;
    None takes those of `interests`, or of the user, where the model knows conditions.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=MAX_USER_ID_LENGTH)]
    k: Annotated[int, Meta(ge=1, le=MAX_K)] = DEFAULT_K
    interests: Annotated[tuple[str, ...], Meta(max_length=MAX_LIST_LENGTH)] = ()
    exclude: Annotated[tuple[str, ...], Meta(max_length=MAX_LIST_LENGTH)] = ()
    history: Annotated[tuple[HistoryEntry, ...], Meta(max_length=MAX_LIST_LENGTH)] | None = None
    features: dict[str, msgspec.Raw] = {}
    include_seen: bool = False
    conditions: Annotated[tuple[str, ...], Meta(max_length=MAX_CONDITIONS)] | None = None


class Pin(msgspec.Struct, frozen=True):
    """One recommended pin.

    `source` is what found it: `embedding_0` (of the user's embeddings, by number),
    `condition:art` (the user's embedding for an interest) or `popular`, which has no score.
    """

    pin_id: str
    score: float | None
    source: str


class UserFeatures(StrEnum):
    """Where what is known of the user comes from."""

    FRESH = "fresh"  # Redis
    STALE = "stale"  # Redis, too old; or the snapshot, if that is later
    SNAPSHOT = "snapshot"  # the release: Redis lacks the user, is down, or not used
    MISSING = "missing"  # nowhere


class Recommendations(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, best pin first.

    `cold_start` says that nothing is known of the user, and `user_features` where what is known
    comes from. `degraded` says that the search gave no answer and popular pins stand in; there is
    no `index_version` then.
    """

    pins: tuple[Pin, ...]
    model_version: str
    index_version: str | None
    degraded: bool
    cold_start: bool
    user_features: UserFeatures


class ErrorDetail(msgspec.Struct, frozen=True):
    """What is wrong with a request: the field, and what is valid there."""

    field: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Body of a 4xx answer."""

    error: ErrorDetail

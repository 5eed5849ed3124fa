"""What is known of a user at request time."""

from typing import Any

import msgspec

from homefeed.features.encoder import HistoryItem


class UserRecord(msgspec.Struct, frozen=True):
    """One user, in the release's snapshot or in Redis.

    `features` holds raw values by column, as the encoder takes them; `history` is most recent
    first and cut to the encoder's length; `seen` are the ids of all pins the user has engaged with,
    which are not recommended again. `as_of`, in Unix seconds, says when this was known of the user;
    0 is unknown.
    """

    features: dict[str, Any] = {}
    history: tuple[HistoryItem, ...] = ()
    seen: tuple[str, ...] = ()
    followed_interests: tuple[str, ...] = ()
    inferred_interests: tuple[str, ...] = ()
    as_of: int = 0

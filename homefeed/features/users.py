"""What is known of a user at request time."""

from typing import Any

import msgspec
import numpy as np

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


class PreparedUser(msgspec.Struct, frozen=True):
    """A user of a release's snapshot by the numbers of that release, which cost a request less.

    `encoded_history` is what the release's encoder makes of the history, int32 little-endian
    [3, length]; `seen_rows` are the rows of its index that hold pins of `UserRecord.seen`, int32
    little-endian, sorted. The rest is the record's.
    """

    features: dict[str, Any]
    encoded_history: bytes
    seen_rows: bytes
    followed_interests: tuple[str, ...]
    inferred_interests: tuple[str, ...]
    as_of: int

    @property
    def history(self) -> np.ndarray:
        """As `FeatureEncoder.encode_history` gives it."""
        return np.frombuffer(self.encoded_history, "<i4").reshape(3, -1)

"""What is known of the users of a batch: from Redis where it is fresh, else from the snapshot."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from homefeed.features.users import PreparedUser, UserRecord
from homefeed.release.redis_users import Reason, RedisUsers, RedisUsersError, UnusableRecord
from homefeed.release.user_tower import UserTower
from homefeed.release.users import PreparedUsers, UserSnapshot
from serving.torchserve.metrics import Metrics
from serving.torchserve.protocol import UserFeatures
from serving.torchserve.settings import RedisSettings

CLOCK_SKEW_SECONDS = 3600
"""How far a writer's clock may be ahead; beyond it `as_of` is not in seconds."""

logger = logging.getLogger(__name__)


class KnownUser(NamedTuple):
    """What is known of a user, and where from; no record where nobody knows them."""

    record: UserRecord | PreparedUser | None
    source: UserFeatures


class UserLookup:
    """Looks up a batch of users at once; for one thread.

    Redis never costs an answer: where it is down, late, or holds what the release cannot use, the
    snapshot stands in, and metrics and answers say so.
    """

    def __init__(
        self,
        snapshot: UserSnapshot,
        prepared: PreparedUsers | None,
        redis: RedisUsers | None,
        max_age_seconds: int,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Takes the stores, which it closes.

        Args:
            snapshot: the release's.
            prepared: its users as they are taken instead; None where the release has none.
            redis: fresher records; None for none.
            max_age_seconds: after which a record of Redis is stale; 0 for never.
            metrics: count what goes wrong.
            now: Unix seconds.
        """
        self._snapshot = snapshot
        self._prepared = prepared
        self._redis = redis
        self._max_age_seconds = max_age_seconds
        self._metrics = metrics
        self._now = now
        self._is_down = False

    def find(self, user_ids: Sequence[str]) -> list[KnownUser]:
        """What is known of each user, in order."""
        fresh = self._ask_redis(user_ids)
        return [self._choose(*pair) for pair in zip(user_ids, fresh, strict=True)]

    def item_of(self, pin_id: str) -> str:
        """The pin that stands for a pin in the release."""
        return self._snapshot.item_of(pin_id)

    def close(self) -> None:
        """Closes the stores."""
        self._snapshot.close()
        if self._prepared is not None:
            self._prepared.close()
        if self._redis is not None:
            self._redis.close()

    def _choose(self, user_id: str, held: UserRecord | UnusableRecord | None) -> KnownUser:
        if isinstance(held, UnusableRecord):
            # One line for each would be one for each request of a writer that went wrong.
            logger.debug("user %r in Redis is left aside: %s", user_id, held)
            self._metrics.unusable_users.inc()
            held = None
        if held is not None:
            held = self._of_items(held)
        if held is not None and not self._is_stale(held):
            return KnownUser(held, UserFeatures.FRESH)
        record = (self._prepared or self._snapshot).get(user_id)
        if held is not None:
            is_later = record is not None and record.as_of > held.as_of
            return KnownUser(record if is_later else held, UserFeatures.STALE)
        return KnownUser(record, UserFeatures.SNAPSHOT if record else UserFeatures.MISSING)

    def _of_items(self, record: UserRecord) -> UserRecord:
        """A record of pins as others know them, by the release's items."""
        item_of = self._snapshot.item_of
        return msgspec.structs.replace(
            record,
            history=tuple(
                msgspec.structs.replace(item, pin_id=item_of(item.pin_id))
                for item in record.history
            ),
            seen=tuple(map(item_of, record.seen)),
        )

    def _is_stale(self, record: UserRecord) -> bool:
        return 0 < self._max_age_seconds < self._now() - record.as_of

    def _ask_redis(self, user_ids: Sequence[str]) -> Sequence[UserRecord | UnusableRecord | None]:
        if self._redis is None or not user_ids:
            return [None] * len(user_ids)
        try:
            found = self._redis.get_many(user_ids)
        except RedisUsersError as error:
            self._metrics.count_redis_failure(error.reason)
            if not self._is_down and error.reason != Reason.PAUSED:  # once for an outage
                logger.warning("no fresh users, the snapshot stands in: %s", error)
                self._is_down = True
            return [None] * len(user_ids)
        if self._is_down:
            logger.warning("Redis answers again")
            self._is_down = False
        return found


def open_redis(settings: RedisSettings, tower: UserTower) -> RedisUsers | None:
    """Redis, where the settings name one; whether it runs shows with the first request."""
    if not settings.url:
        return None
    columns = {feature.column for feature in tower.encoder.config.user}

    def check(records: Sequence[UserRecord]) -> None:
        """Raises ValueError where the release's encoder cannot take one of the records."""
        latest = time.time() + CLOCK_SKEW_SECONDS
        for record in records:
            # Others may be there: a later release may take them, whose pods come one by one.
            if not columns <= record.features.keys():
                raise ValueError(f"lacks the features {sorted(columns - record.features.keys())}")
            if record.as_of > latest:
                raise ValueError(f"as_of={record.as_of} lies ahead; it is in Unix seconds")
        features = [record.features for record in records]
        try:
            tensors = tower.encode(features, [record.history for record in records])
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from error
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError("a number is beyond float32")

    return RedisUsers(
        settings.url,
        prefix=settings.prefix,
        deadline_seconds=settings.deadline_seconds,
        check=check,
    )

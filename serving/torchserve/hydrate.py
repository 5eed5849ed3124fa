"""From raw request bodies to users with all that the tower and the search are to know of them."""

from collections.abc import Sequence

import numpy as np

from homefeed.contracts import Column
from homefeed.features.encoder import History, HistoryItem
from homefeed.features.users import PreparedUser, UserRecord
from homefeed.index.postings import read_interests
from homefeed.release.bundle import Release
from homefeed.release.user_tower import UserTower
from homefeed.release.users import PreparedUsers, UserSnapshot
from serving.torchserve.conditions import choose_conditions
from serving.torchserve.metrics import Metrics
from serving.torchserve.request import CheckedRequest, InvalidRequest, RequestParser
from serving.torchserve.settings import HandlerSettings
from serving.torchserve.user import User
from serving.torchserve.user_lookup import KnownUser, UserLookup, open_redis

UNKNOWN_USER = UserRecord()


class Hydrator:
    """Checks requests against one release and looks their users up; for one thread."""

    def __init__(
        self, release: Release, tower: UserTower, metrics: Metrics, settings: HandlerSettings
    ) -> None:
        self._interests = frozenset(read_interests(release.index))
        self._max_conditions = settings.max_conditions if release.is_conditional else 0
        self._parser = RequestParser(
            tower.encoder.config.user, self._interests, release.is_conditional
        )
        redis = open_redis(settings.redis, tower)
        prepared = release.prepared_users
        self._users = UserLookup(
            UserSnapshot.open(release.users),
            None if prepared is None else PreparedUsers(prepared),
            redis,
            settings.redis.max_age_seconds,
            metrics,
        )

    @property
    def usual_conditions(self) -> tuple[str, ...]:
        """As many as a request that names none may have."""
        return tuple(sorted(self._interests)[: self._max_conditions])

    def hydrate(self, bodies: Sequence[bytes | bytearray | None]) -> list[User | InvalidRequest]:
        """The users of requests, in order, or why there is none; they are looked up together.

        Args:
            bodies: JSON of one request each; None where the caller sent something else.
        """
        asked = [self._parse(body) for body in bodies]
        ids = [each.request.user_id for each in asked if isinstance(each, CheckedRequest)]
        known = iter(self._users.find(ids))
        return [
            self._user(each, next(known)) if isinstance(each, CheckedRequest) else each
            for each in asked
        ]

    def close(self) -> None:
        """Closes the stores of users."""
        self._users.close()

    def _parse(self, body: bytes | bytearray | None) -> CheckedRequest | InvalidRequest:
        try:
            return self._parser.parse(body)
        except InvalidRequest as invalid:
            return invalid

    def _user(self, asked: CheckedRequest, known: KnownUser) -> User:
        """What is asked by and known of one user, in the release's items."""
        request, features, given_history = asked
        record = known.record or UNKNOWN_USER
        item_of = self._users.item_of
        history: History = record.history
        if given_history is not None:
            history = tuple(
                HistoryItem(item_of(entry.pin_id), entry.action, entry.timestamp or 0)
                for entry in given_history
            )
        exclude, exclude_rows = tuple(map(item_of, request.exclude)), b""
        if not request.include_seen:
            if isinstance(record, PreparedUser):
                exclude_rows = record.seen_rows
            else:
                exclude += record.seen
            # A prepared history is part of what was seen; others may not be.
            if not isinstance(history, np.ndarray):
                exclude += tuple(item.pin_id for item in history)
        own_interests = {
            Column.FOLLOWED_INTERESTS: record.followed_interests,
            Column.INFERRED_INTERESTS: record.inferred_interests,
        }
        conditions = choose_conditions(
            request, own_interests | features, self._interests, self._max_conditions
        )
        return User(
            request,
            record.features | features,
            history,
            exclude,
            known.source,
            conditions,
            exclude_rows,
        )

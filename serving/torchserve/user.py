"""A request's user on the way through the tower: their vectors, and the query made of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from homefeed.features.encoder import History, Tensors
from homefeed.index.protocol import Query
from homefeed.release.user_tower import UserTower
from serving.torchserve.protocol import Request, UserFeatures


class User(NamedTuple):
    """A request with what is known of its user, and the interests to ask for by themselves.

    `exclude` are pins that must not come back, `exclude_rows` the same by rows of the release's
    index, int32; a pin may be named twice.
    """

    request: Request
    features: dict[str, Any]
    history: History
    exclude: tuple[str, ...]
    source: UserFeatures
    conditions: tuple[str, ...] = ()
    exclude_rows: bytes = b""

    @property
    def cold_start(self) -> bool:
        """Whether nothing is known of the user."""
        return self.source == UserFeatures.MISSING

    def query(self, vectors: np.ndarray) -> Query:
        """The search by what `embed` made of the user, float32 [K + conditions, D]."""
        num_own = len(vectors) - len(self.conditions)
        return Query(
            vectors.tobytes(),
            self.request.k,
            self.request.interests,
            self.exclude,
            ("",) * num_own + self.conditions if self.conditions else (),
            self.exclude_rows,
        )

    def sources(self, vectors: np.ndarray) -> list[str]:
        """What answers call each of the rows of `query`."""
        num_own = len(vectors) - len(self.conditions)
        own = [f"embedding_{row}" for row in range(num_own)]
        return own + [f"condition:{name}" for name in self.conditions]


def encode(tower: UserTower, users: Sequence[User]) -> Tensors:
    """The tower's inputs: each user, followed by the same user under each of their conditions."""
    tensors = tower.encode([user.features for user in users], [user.history for user in users])
    return tower.ask(tensors, [user.conditions for user in users])


def embed(tower: UserTower, tensors: Tensors, users: Sequence[User]) -> list[np.ndarray]:
    """Each user's vectors out of `encode`, float32 [K + conditions, D]."""
    return tower.embed_asked(tensors, [user.conditions for user in users])

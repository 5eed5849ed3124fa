"""Users of a release, and what is asked for them: as REST bodies and as queries of the search."""

from pathlib import Path

import msgspec
import numpy as np

from homefeed.index.postings import Postings, read_interests
from homefeed.index.protocol import Query
from homefeed.release.bundle import Release, read_release_manifest
from homefeed.release.user_tower import UserTower
from homefeed.release.users import PreparedUsers, UserSnapshot

K = 20
SEED = 0


def sample_users(release: Path, num_users: int) -> list[str]:
    """Ids of users of the release's snapshot, by chance."""
    with UserSnapshot.open(_open(release).users) as users:
        # 6,040 users: all fit. A key is the id but for ids that are too long for LMDB.
        ids = [key.decode() for batch in users.batches(10_000) for key, _ in batch]
    rng = np.random.default_rng(SEED)
    return rng.choice(sorted(ids), min(num_users, len(ids)), replace=False).tolist()


def plain_bodies(user_ids: list[str]) -> list[bytes]:
    """Requests without a filter."""
    return [msgspec.json.encode({"user_id": user_id, "k": K}) for user_id in user_ids]


def filtered_bodies(user_ids: list[str], release: Path) -> list[bytes]:
    """Requests for one interest each, in turn, whatever the number of its pins."""
    names = read_interests(_open(release).index)
    return [
        msgspec.json.encode({"user_id": user_id, "k": K, "interests": [names[place % len(names)]]})
        for place, user_id in enumerate(user_ids)
    ]


def queries_of(folder: Path, user_ids: list[str], interests: tuple[str, ...] = ()) -> list[Query]:
    """The searches that requests of users lead to; what a user has seen must not come back."""
    release = _open(folder)
    tower = UserTower(release.folder)
    queries = []
    assert release.prepared_users is not None
    users = PreparedUsers(release.prepared_users)
    for user_id in user_ids:
        user = users.get(user_id)
        assert user is not None
        (vectors,) = tower.embed(tower.encode([user.features], [user.history]))
        queries.append(Query(vectors.tobytes(), K, interests, exclude_rows=user.seen_rows))
    users.close()
    return queries


def interest_sizes(folder: Path) -> dict[str, int]:
    """The number of pins of each interest."""
    release = _open(folder)
    num_pins = int(release.manifest.metrics["num_pins"])
    postings = Postings.load(release.index, num_pins)
    return {name: postings.subset(postings.codes((name,))).num_rows for name in postings.interests}


def _open(folder: Path) -> Release:
    return Release(folder, read_release_manifest(folder))

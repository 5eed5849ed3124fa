"""Vectors of users, which the recall of an index is measured with: what serving will ask."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homefeed.contracts import Manifest, write_manifest

USER_EMBEDDINGS = "user_embeddings"
"""Kind of the artifact."""
USER_EMBEDDINGS_FILE = "user_embeddings.parquet"
"""A row for each vector of each user, users in random order; a user's vectors are together."""

IS_NEW, FOLLOWS, CONDITION, EMBEDDING = "is_new", "follows", "condition", "embedding"


class UserVectors(NamedTuple):
    """The vectors of one user: `vectors[K, D]` of no interest in particular, float32.

    `follows` are the interests that the user follows, or that are inferred; `conditioned` are
    vectors [D] by the interest that the user was asked for. Of a user who is new only features are
    known.
    """

    follows: Collection[str]
    vectors: np.ndarray
    conditioned: Mapping[str, np.ndarray]
    is_new: bool = False


class UserEmbeddings(NamedTuple):
    """The vectors of all users, float32; V of no interest in particular, `vectors[V, D]`.

    `follows` has the interests of each vector's user, [V]; `conditioned` are vectors [N, D] by the
    interest that N of the users were asked for; `newcomers` are vectors [M, D] of new users, who
    lie together, and elsewhere than others.
    """

    vectors: np.ndarray
    follows: Sequence[Collection[str]]
    conditioned: Mapping[str, np.ndarray]
    newcomers: np.ndarray

    def kinds(self, interest: str | None = None) -> list[np.ndarray]:
        """What a filter is asked for by each kind of users, [N, D] each.

        Args:
            interest: the filter, if it is one interest: those who follow it ask, others, users with
                vectors for it, and newcomers. A kind that there is none of is left out.
        """
        kinds = [self.vectors, self.newcomers]
        if interest is not None:
            is_follower = np.array([interest in own for own in self.follows])
            kinds = [self.vectors[is_follower], self.vectors[~is_follower], self.newcomers]
            kinds += [self.conditioned[interest]] if interest in self.conditioned else []
        return [kind for kind in kinds if len(kind)]


def write_user_embeddings(
    output: Path, users: Sequence[UserVectors], manifest: Manifest
) -> Manifest:
    """Writes the artifact.

    Args:
        output: its folder.
        users: in random order.
        manifest: without its files.

    Returns:
        The manifest of the artifact.
    """
    rows = [
        (user.is_new, sorted(user.follows), condition, vector)
        for user in users
        for condition, vector in [
            *((None, vector) for vector in user.vectors),
            *user.conditioned.items(),
        ]
    ]
    vectors = np.array([vector for *_, vector in rows], np.float32)
    columns = {
        IS_NEW: pa.array([is_new for is_new, *_ in rows]),
        FOLLOWS: pa.array([follows for _, follows, *_ in rows], pa.list_(pa.string())),
        CONDITION: pa.array([condition for *_, condition, _ in rows], pa.string()),
        EMBEDDING: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
    }
    output.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), output / USER_EMBEDDINGS_FILE)
    return write_manifest(output, manifest)


def read_user_embeddings(folder: Path) -> UserEmbeddings:
    """Reads what `write_user_embeddings` wrote."""
    table = pq.read_table(folder / USER_EMBEDDINGS_FILE)
    embeddings = table[EMBEDDING].combine_chunks()
    vectors = embeddings.flatten().to_numpy().reshape(len(embeddings), -1)
    is_new, conditions = table[IS_NEW].to_pylist(), table[CONDITION].to_pylist()
    rows: dict[str | None, list[int]] = {None: []}
    for row, condition in enumerate(conditions):
        if not is_new[row]:
            rows.setdefault(condition, []).append(row)
    own = rows.pop(None)
    return UserEmbeddings(
        vectors[own],
        [frozenset(names) for names in table[FOLLOWS].take(own).to_pylist()],
        {name: vectors[asked] for name, asked in rows.items() if name is not None},
        vectors[is_new],
    )


def sample(vectors: np.ndarray, size: int) -> np.ndarray:
    """At most `size` of `vectors[N, D]`, as far apart as can be: of as many users as there are."""
    return vectors[np.linspace(0, len(vectors) - 1, min(size, len(vectors))).round().astype(int)]

"""What a release recommends, asked as serving asks: snapshot, user tower, search engine."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from homefeed.contracts import Column
from homefeed.dataset.layout import PIN_INDEX
from homefeed.events.layout import PINS_FILE
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine
from homefeed.ranking.metrics import NO_PIN
from homefeed.release.bundle import Release
from homefeed.release.user_tower import UserTower
from homefeed.release.users import UserSnapshot

USERS_AT_ONCE = 64
"""Bounds the scores that one search holds in memory: 16 MiB for each vector of a user."""


def make_queries(
    release: Release, user_ids: Sequence[str], k: int, description: str
) -> Iterator[list[Query]]:
    """Each user's search for k unseen pins, in batches, users in order.

    Args:
        release: what answers.
        user_ids: users of the release's snapshot.
        k: pins for each user.
        description: of the progress bar.
    """
    tower = UserTower(release)
    with (
        UserSnapshot.open(release.users) as snapshot,
        tqdm(total=len(user_ids), desc=description, unit="user") as progress,
    ):
        for start in range(0, len(user_ids), USERS_AT_ONCE):
            chosen = user_ids[start : start + USERS_AT_ONCE]
            records = [record for user_id in chosen if (record := snapshot.get(user_id))]
            assert len(records) == len(chosen), "the snapshot is of the same data set"
            inputs = tower.encode(
                [record.features for record in records], [record.history for record in records]
            )
            yield [
                Query(vectors.tobytes(), k, exclude=record.seen)
                for vectors, record in zip(tower.embed(inputs), records, strict=True)
            ]
            progress.update(len(chosen))


def rank_through_release(
    release: Release, dataset: Path, user_ids: Sequence[str], k: int
) -> np.ndarray:
    """The release's ranking for each user: pin_index of the data set, int64 [U, k].

    Rows are filled up by `NO_PIN`, as the baselines' are.

    Raises:
        ValueError: the release recommends a pin that the data set does not hold.
    """
    engine = SearchEngine.load(release.index)
    pin_ids: list[pa.Array] = []
    lengths: list[int] = []
    for queries in make_queries(release, user_ids, k, "ranking by the release"):
        hits = engine.search_batch(queries)
        pin_ids.append(pa.array([pin for each in hits for pin in each.pin_ids], pa.string()))
        lengths += [len(each.pin_ids) for each in hits]
    rankings = np.full((len(user_ids), k), NO_PIN, np.int64)
    is_filled = np.arange(k) < np.array(lengths)[:, None]
    rankings[is_filled] = _pin_indices(release, dataset, pa.chunked_array(pin_ids, pa.string()))
    return rankings


def _pin_indices(release: Release, dataset: Path, pin_ids: pa.ChunkedArray) -> np.ndarray:
    pins = pq.read_table(dataset / PINS_FILE, columns=[Column.PIN_ID, PIN_INDEX])
    known = pc.SetLookupOptions(value_set=pins[Column.PIN_ID])
    rows = pc.call_function("index_in", [pin_ids], known)
    if rows.null_count:
        stray = pin_ids.filter(rows.is_null())[0]
        raise ValueError(
            f"release {release.version} recommends pin {stray}, which {dataset} does not hold: "
            "evaluate on the data set that the release's corpus was selected from"
        )
    return pins[PIN_INDEX].take(rows).to_numpy()

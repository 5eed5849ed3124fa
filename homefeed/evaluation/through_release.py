"""What a release recommends, asked as serving asks: snapshot, user tower, search engine."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from homefeed.contracts import Column
from homefeed.dataset.layout import PIN_INDEX
from homefeed.events.layout import PINS_FILE
from homefeed.features.encoder import HistoryItem
from homefeed.features.users import UserRecord
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine
from homefeed.ranking.metrics import NO_PIN
from homefeed.release.bundle import Release
from homefeed.release.user_tower import UserTower
from homefeed.release.users import UserSnapshot

USERS_AT_ONCE = 64
"""Bounds the scores that one search holds in memory: 16 MiB for each vector of a user."""


def make_queries(
    release: Release,
    user_ids: Sequence[str],
    k: int,
    description: str,
    known: UserSnapshot | None = None,
) -> Iterator[list[Query]]:
    """Each user's search for k unseen pins, in batches, users in order.

    Args:
        release: what answers.
        user_ids: users of the snapshot.
        k: pins for each user.
        description: of the progress bar.
        known: another snapshot, which users are known from instead of the release's own.

    Raises:
        ValueError: what the other snapshot says of a user does not fit the release's features.
    """
    tower = UserTower(release.folder)
    with (
        UserSnapshot.open(release.users) as own,
        tqdm(total=len(user_ids), desc=description, unit="user") as progress,
    ):
        for start in range(0, len(user_ids), USERS_AT_ONCE):
            chosen = user_ids[start : start + USERS_AT_ONCE]
            records = [record for user_id in chosen if (record := (known or own).get(user_id))]
            assert len(records) == len(chosen), "the snapshot is of the same data set"
            if known is not None:
                records = [_in_items(record, own.item_of) for record in records]
            inputs = tower.encode(
                [record.features for record in records], [record.history for record in records]
            )
            yield [
                Query(vectors.tobytes(), k, exclude=record.seen)
                for vectors, record in zip(tower.embed(inputs), records, strict=True)
            ]
            progress.update(len(chosen))


def _in_items(record: UserRecord, item_of: Callable[[str], str]) -> UserRecord:
    """A record with pins as another release calls them, which has other near-duplicates."""
    history = tuple(
        HistoryItem(item_of(item.pin_id), item.action, item.timestamp) for item in record.history
    )
    seen = tuple(dict.fromkeys(map(item_of, record.seen)))
    return msgspec.structs.replace(record, history=history, seen=seen)


def rank_through_release(
    release: Release, dataset: Path, user_ids: Sequence[str], k: int
) -> np.ndarray:
    """The release's ranking for each user: pin_index of the data set, int64 [U, k].

    Rows are filled up by `NO_PIN`, as the baselines' are.

    Raises:
        ValueError: the release recommends a pin that the data set does not hold.
    """
    queries = make_queries(release, user_ids, k, "ranking by the release")
    pin_ids, is_filled = _search(release, queries, k)
    rows = _pin_indices(dataset, pin_ids)
    if (strays := np.flatnonzero(rows == NO_PIN)).size:
        raise ValueError(
            f"release {release.version} recommends pin {pin_ids[int(strays[0])]}, which {dataset} "
            "does not hold: evaluate on the data set that the release's corpus was selected from"
        )
    return _as_table(rows, is_filled)


def rank_through_another(
    release: Release, known: Path, dataset: Path, user_ids: Sequence[str], k: int
) -> np.ndarray:
    """What another release recommends the users of a data set that it was not made of.

    It is asked as if it knew of its users what is known now. Its own snapshot may be older, or
    so late that it holds the very events that are to be found. Of two pins that are one item of the
    data set, the second takes its place in the ranking and finds nothing, as a pin does that the
    data set does not hold.

    Args:
        release: what answers.
        known: the snapshot of the data set's users.
        dataset: the dataset artifact.
        user_ids: users of the data set.
        k: pins for each user.

    Returns:
        pin_index of the data set, int64 [U, k]; rows are filled up by `NO_PIN`.

    Raises:
        ValueError: its features do not fit what is known.
    """
    description = "ranking by the release in production"
    with UserSnapshot.open(known) as snapshot:
        queries = make_queries(release, user_ids, k, description, snapshot)
        pin_ids, is_filled = _search(release, queries, k)
        items = pa.array([snapshot.item_of(pin) for pin in pin_ids.to_pylist()], pa.string())
    ranking = _as_table(_pin_indices(dataset, pa.chunked_array([items])), is_filled)
    ranking[_is_repeated(ranking)] = NO_PIN
    return ranking


def _search(
    release: Release, queries: Iterator[list[Query]], k: int
) -> tuple[pa.ChunkedArray, np.ndarray]:
    """The pins of all users, one after the other, and which of their k places [U, k] these fill."""
    engine = SearchEngine.load(release.index)
    pin_ids: list[pa.Array] = []
    lengths: list[int] = []
    for batch in queries:
        hits = engine.search_batch(batch)
        pin_ids.append(pa.array([pin for each in hits for pin in each.pin_ids], pa.string()))
        lengths += [len(each.pin_ids) for each in hits]
    is_filled = np.arange(k) < np.array(lengths)[:, None]
    return pa.chunked_array(pin_ids, pa.string()), is_filled


def _as_table(rows: np.ndarray, is_filled: np.ndarray) -> np.ndarray:
    ranking = np.full(is_filled.shape, NO_PIN, np.int64)
    ranking[is_filled] = rows
    return ranking


def _pin_indices(dataset: Path, pin_ids: pa.ChunkedArray) -> np.ndarray:
    """Their pin_index; `NO_PIN` for those that the data set does not hold."""
    pins = pq.read_table(dataset / PINS_FILE, columns=[Column.PIN_ID, PIN_INDEX])
    known = pc.SetLookupOptions(value_set=pins[Column.PIN_ID])
    rows = pc.call_function("index_in", [pin_ids], known)
    return pins[PIN_INDEX].take(rows).fill_null(NO_PIN).to_numpy()


def _is_repeated(ranking: np.ndarray) -> np.ndarray:
    """Which places [U, k] hold what an earlier place of the row holds."""
    order = np.argsort(ranking, axis=1, kind="stable")
    in_order = np.take_along_axis(ranking, order, axis=1)
    is_equal = np.zeros(ranking.shape, bool)
    is_equal[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
    is_repeated = np.empty_like(is_equal)
    np.put_along_axis(is_repeated, order, is_equal, axis=1)
    return is_repeated

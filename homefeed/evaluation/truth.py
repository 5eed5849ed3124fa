"""Who is evaluated and what is right for them: read once, shared by every recommender."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pyarrow.parquet as pq
from ibis import _

from homefeed.contracts import Column, read_manifest
from homefeed.dataset.layout import DATASET, PIN_INDEX, SPLIT, SPLITS, TEST, TRAIN, USER_INDEX
from homefeed.dataset.statistics import decayed_sum
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE, USERS_FILE
from homefeed.ranking.ragged import Ragged


@dataclass(frozen=True)
class Truth:
    """A split of a data set, mostly the test split, as seen from just before it.

    Pins are `pin_index` everywhere, users are rows 0..U-1 of `users`. What is known are the events
    of the splits before it; what is relevant to a user are the pins of the user's events in it
    that the user has not engaged with before. A relevant pin may be new to everyone: no recommender
    can find it, and it counts as missed.

    Attributes:
        users: user_index of the warm users, those with something known and something relevant:
            int64 [U], ascending.
        user_ids: their ids.
        relevant: relevant pins of each warm user, U rows, sorted.
        known: known pins of every user of the data set by user_index, sorted, each once.
        learned: those of them that recommenders may learn from: all, or the training part's.
        candidates: pins with a known event, int32 [P], ascending: what can be recommended.
        popularity: events of each candidate that may be learned from, float32 [P].
        decayed_popularity: the same, an event of age t counting 2^(-t / half-life).
        num_warm_users: warm users before a sample was drawn.
    """

    users: np.ndarray
    user_ids: tuple[str, ...]
    relevant: Ragged
    known: Ragged
    learned: Ragged
    candidates: np.ndarray
    popularity: np.ndarray
    decayed_popularity: np.ndarray
    num_warm_users: int

    @cached_property
    def inputs(self) -> Ragged:
        """Pins of each warm user that may be learned from, U rows, sorted."""
        return self.learned.take(self.users)

    @cached_property
    def seen(self) -> Ragged:
        """Known pins of each warm user, U rows, sorted: what is not recommended again."""
        return self.known.take(self.users)

    def columns(self, pins: np.ndarray) -> np.ndarray:
        """Places of known `pins[N]` among the candidates: every known pin is one."""
        return np.searchsorted(self.candidates, pins)

    @cached_property
    def num_unreachable(self) -> int:
        """Relevant pins, over all warm users, that are no candidate."""
        return int((~np.isin(self.relevant.values, self.candidates)).sum())


def read_truth(
    dataset: Path,
    half_life_days: float,
    max_users: int | None,
    seed: int,
    scratch: Path,
    asked: str = TEST,
    learned: Sequence[str] | None = None,
) -> Truth:
    """Reads the truth of a data set, whatever its kind of split.

    Args:
        dataset: the dataset artifact.
        half_life_days: of the decayed popularity.
        max_users: sample so many of the warm users; None takes all.
        seed: of the sample.
        scratch: a path beside which tables may spill to disk.
        asked: the split that is to be found, test or validation; those before it are known.
        learned: splits that recommenders may learn from; None for all known ones.

    Raises:
        ValueError: the data set has no warm user.
    """
    known_splits = SPLITS[: SPLITS.index(asked)]
    details = read_manifest(dataset, DATASET).details
    time = details["serving_time"] if asked == TEST else details["windows"][TRAIN][1]
    user_ids = pq.read_table(dataset / USERS_FILE, columns=[Column.USER_ID])[Column.USER_ID]
    num_users = len(user_ids)
    with open_engine(scratch) as engine:
        engagements = engine.read(dataset / ENGAGEMENTS_FILE)
        known_events = engagements.filter(_[SPLIT].isin(known_splits))
        known_pairs = engine.keep("known_pairs", _pairs(known_events))
        known = _ragged(known_pairs, num_users)
        new_pairs = _pairs(engagements.filter(_[SPLIT] == asked))
        relevant = _ragged(new_pairs.anti_join(known_pairs, [USER_INDEX, PIN_INDEX]), num_users)
        learned_events = known_events.filter(_[SPLIT].isin(learned or known_splits))
        may_learn = _ragged(_pairs(learned_events), num_users)
        sums = learned_events.group_by(PIN_INDEX).agg(
            plain=decayed_sum(time, 0, {}), decayed=decayed_sum(time, half_life_days, {})
        )
        candidates = known_events.select(PIN_INDEX).distinct()
        pins = candidates.left_join(sums, PIN_INDEX).order_by(PIN_INDEX).to_pyarrow()
    warm = np.flatnonzero((known.lengths > 0) & (relevant.lengths > 0))
    if not len(warm):
        raise ValueError(
            f"{dataset} has no user with both an event before the {asked} split and an unseen pin "
            f"in it: there is nothing to evaluate on; give the {asked} split a larger share"
        )
    chosen = _sample(warm, max_users, seed)
    return Truth(
        users=chosen,
        user_ids=tuple(user_ids.take(chosen).to_pylist()),
        relevant=relevant.take(chosen),
        known=known,
        learned=may_learn,
        candidates=pins[PIN_INDEX].to_numpy().astype(np.int32),
        popularity=pins["plain"].fill_null(0).to_numpy(),
        decayed_popularity=pins["decayed"].fill_null(0).to_numpy(),
        num_warm_users=len(warm),
    )


def _pairs(events: ir.Table) -> ir.Table:
    return events.select(user_index=_[USER_INDEX], pin_index=_[PIN_INDEX].cast("int32")).distinct()


def _ragged(pairs: ir.Table, num_rows: int) -> Ragged:
    table = pairs.order_by([USER_INDEX, PIN_INDEX]).to_pyarrow()
    return Ragged.from_pairs(table[USER_INDEX].to_numpy(), table[PIN_INDEX].to_numpy(), num_rows)


def _sample(users: np.ndarray, most: int | None, seed: int) -> np.ndarray:
    if most is None or len(users) <= most:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, most, replace=False))

"""Exact ranking by trained towers: all candidates are scored, so no index can miss one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from homefeed.contracts import Column, read_manifest
from homefeed.dataset.layout import DATASET, PIN_INDEX, SPLIT, USER_INDEX
from homefeed.dataset.statistics import statistics_at
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE
from homefeed.features.encoder import CONDITION, OUT_OF_VOCABULARY_ROW
from homefeed.ranking.metrics import NO_PIN
from homefeed.ranking.ragged import Ragged
from homefeed.ranking.turns import take_turns
from homefeed.towers.data import EncodedDataset, Histories
from homefeed.towers.model import TwoTowers

Merge = Literal["round_robin", "max"]
"""How several vectors of a user make one ranking. round_robin: equal turns, as a release is
searched; max: a pin scores what its best vector gives it."""

USERS_AT_ONCE = 256
PINS_AT_ONCE = 8_192


class Filter(NamedTuple):
    """What may come back: of I sets of pins `pins_of[I, P]`, bool, the one `which[R]` of each."""

    pins_of: np.ndarray
    which: np.ndarray


@dataclass(frozen=True)
class Questions:
    """R times a user is asked for.

    Attributes:
        users: user_index, int64 [R].
        seen: pin_index of candidates that must not come back, R rows.
        conditions: rows of the interests that they are asked for, int64 [R]; None for none at all.
        only: what alone may come back; None for everything.
    """

    users: np.ndarray
    seen: Ragged
    conditions: np.ndarray | None = None
    only: Filter | None = None

    def part(self, start: int, stop: int) -> "Questions":
        """Some that follow each other."""
        rows = np.arange(start, min(stop, len(self.users)))
        return Questions(
            self.users[rows],
            self.seen.take(rows),
            None if self.conditions is None else self.conditions[rows],
            None if self.only is None else Filter(self.only.pins_of, self.only.which[rows]),
        )


class Ranker:
    """What was known of users and pins at some time, and their ranking by whichever towers."""

    def __init__(
        self,
        dataset: Path,
        encoded: EncodedDataset,
        known: Sequence[str],
        scratch: Path,
        in_histories: Sequence[str] | None = None,
    ) -> None:
        """Reads what is known at the end of some splits.

        Args:
            dataset: the dataset artifact.
            encoded: its users and pins.
            known: splits whose pins are candidates, with the statistics of all of their events.
            scratch: a path beside which tables may spill to disk.
            in_histories: splits that users' histories are made of; None for the known ones.
        """
        self._encoded = encoded
        self.candidates, self._statistics = _read_statistics(dataset, known, encoded, scratch)
        self._histories = _read_histories(dataset, in_histories or known, encoded)

    def rank(
        self, towers: TwoTowers, asked: Questions, k: int, merge: Merge = "round_robin"
    ) -> np.ndarray:
        """The best pins of each question, int64 [R, k], filled up by `NO_PIN`.

        Leaves the towers in eval mode.
        """
        towers.eval()
        rankings = [np.empty((0, k), np.int64)]
        # Not inference mode: tables that are spread over processes cannot be looked up in it.
        with torch.no_grad():
            pins = self._embed_pins(towers)
            for start in range(0, len(asked.users), USERS_AT_ONCE):
                part = asked.part(start, start + USERS_AT_ONCE)
                rankings.append(self._rank(towers, pins, part, k, merge))
        return np.concatenate(rankings)

    def _embed_pins(self, towers: TwoTowers) -> Tensor:
        parts = []
        for start in range(0, len(self.candidates), PINS_AT_ONCE):
            part = slice(start, start + PINS_AT_ONCE)
            statistics = {name: values[part] for name, values in self._statistics.items()}
            parts.append(towers.embed_pins(self._encoded.pins(self.candidates[part], statistics)))
        return torch.cat(parts)

    def _rank(
        self, towers: TwoTowers, pins: Tensor, asked: Questions, k: int, merge: Merge
    ) -> np.ndarray:
        batch = self._encoded.users(asked.users, self._histories, asked.users)
        if asked.conditions is not None:
            batch[CONDITION] = torch.from_numpy(asked.conditions)[:, None]
        vectors, is_used = towers.embed_users(batch)
        scores = vectors @ pins.T
        hidden = torch.from_numpy(self._hidden(asked)).to(scores.device)
        scores.masked_fill_(hidden.unsqueeze(1) | ~is_used.unsqueeze(2), -torch.inf)
        if merge == "max":
            scores = scores.amax(dim=1, keepdim=True)
            is_used = is_used.any(dim=1, keepdim=True)
        best = scores.topk(min(k, len(self.candidates)), dim=2)
        is_found = torch.isfinite(best.values).cpu().numpy()
        lists = np.where(is_found, best.indices.cpu().numpy(), NO_PIN)
        places = take_turns(lists, is_used.cpu().numpy(), len(self.candidates), k)
        return np.where(places == NO_PIN, NO_PIN, self.candidates[places])

    def _hidden(self, asked: Questions) -> np.ndarray:
        """Candidates that must not come back, bool [B, N]."""
        rows = np.repeat(np.arange(len(asked.users)), asked.seen.lengths)
        if asked.only is None:
            hidden = np.zeros((len(asked.users), len(self.candidates)), bool)
        else:
            hidden = ~asked.only.pins_of[:, self.candidates][asked.only.which]
        hidden[rows, np.searchsorted(self.candidates, asked.seen.values)] = True
        return hidden


def _read_statistics(
    dataset: Path, known: Sequence[str], encoded: EncodedDataset, scratch: Path
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pins with a known event, ascending, and their statistics after the last one, by column."""
    windows = read_manifest(dataset, DATASET).details["windows"]
    config = encoded.encoder.config.statistics
    with open_engine(scratch) as engine:
        events = engine.read(dataset / ENGAGEMENTS_FILE)
        events = events.filter(events[SPLIT].isin(known))
        table = statistics_at(events, max(windows[split][1] for split in known), config)
        found = table.order_by(PIN_INDEX).to_pyarrow()
    statistics = {name: found[name].to_numpy() for name in config.columns}
    # A copy, as torch takes no places that it must not write to.
    return found[PIN_INDEX].to_numpy().copy(), statistics


def _read_histories(dataset: Path, splits: Sequence[str], encoded: EncodedDataset) -> Histories:
    """Everybody's history of some splits, by user_index."""
    columns = [USER_INDEX, PIN_INDEX, Column.ACTION, Column.TIMESTAMP, Column.EVENT_ID]
    events = pq.read_table(
        dataset / ENGAGEMENTS_FILE, columns=columns, filters=[(SPLIT, "in", splits)]
    ).sort_by(
        [
            (USER_INDEX, "ascending"),
            (Column.TIMESTAMP.value, "descending"),
            (Column.EVENT_ID.value, "descending"),
        ]
    )
    known = encoded.encoder.actions.rows
    actions = events[Column.ACTION].to_pylist()
    rows = np.array([known.get(each, OUT_OF_VOCABULARY_ROW) for each in actions], np.int32)
    return Histories(
        np.searchsorted(events[USER_INDEX].to_numpy(), np.arange(encoded.num_users + 1)),
        events[PIN_INDEX].to_numpy().astype(np.int32),
        rows,
        events[Column.TIMESTAMP].to_numpy(),
    )

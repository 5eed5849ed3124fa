"""The data set as the towers are fed it: examples in memory, features of users and pins encoded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from homefeed.contracts import Column
from homefeed.dataset.layout import EXAMPLES_FOLDER, PIN_INDEX, USER_INDEX
from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.events.layout import PINS_FILE, USERS_FILE
from homefeed.features.config import Feature
from homefeed.features.encoder import (
    HISTORY,
    HISTORY_ACTIONS,
    NUMERIC,
    OUT_OF_VOCABULARY_ROW,
    PADDING_ROW,
    FeatureEncoder,
)

Batch = dict[str, Tensor]

SECONDS_OF_ALL_TIME = 1 << 40
"""Keeps users apart in keys of user and time."""


@dataclass(frozen=True)
class Histories:
    """N histories, most recent first: row i is `[offsets[i]:offsets[i + 1]]` of both arrays.

    Attributes:
        offsets: int64 [N + 1].
        pins: pin_index, int32.
        actions: rows of the encoder's actions, int32.
    """

    offsets: np.ndarray
    pins: np.ndarray
    actions: np.ndarray

    def padded(self, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pins and actions `[B, length]` of some rows, and where they hold something, bool."""
        starts = self.offsets[rows]
        places = np.arange(length)
        is_there = places < (self.offsets[rows + 1] - starts)[:, None]
        at = np.where(is_there, starts[:, None] + places, 0)
        return self.pins[at], self.actions[at], is_there


@dataclass(frozen=True)
class Examples:
    """N examples of a split, ordered by time.

    Attributes:
        users: user_index, int64 [N].
        pins: pin_index, int64 [N].
        timestamps: Unix seconds, int64 [N].
        statistics: the pin's sums before the example by column, float32 [N] each.
        histories: what the user had done before.
    """

    users: np.ndarray
    pins: np.ndarray
    timestamps: np.ndarray
    statistics: Mapping[str, np.ndarray]
    histories: Histories

    def __len__(self) -> int:
        return len(self.users)


def read_examples(
    dataset: Path, splits: Sequence[str], encoder: FeatureEncoder, most_per_day: int | None = None
) -> Examples:
    """Reads splits' examples into memory, some 8 bytes for each item of each history.

    Args:
        dataset: the dataset artifact.
        splits: which ones.
        encoder: the data set's encoder.
        most_per_day: leaves out what a user did after so many examples in 24 hours; None for none.

    Raises:
        ValueError: there are not two examples, as a batch needs.
    """
    names = encoder.config.statistics.columns
    columns = [Column.EVENT_ID, USER_INDEX, PIN_INDEX, Column.TIMESTAMP, HISTORY, HISTORY_ACTIONS]
    folders = [dataset / EXAMPLES_FOLDER / split for split in splits]
    table = pa.concat_tables(pq.read_table(each, columns=[*columns, *names]) for each in folders)
    # A sort may not promise to keep ties in order, and equal inputs shall give equal batches.
    table = table.sort_by(
        [(Column.TIMESTAMP.value, "ascending"), (Column.EVENT_ID.value, "ascending")]
    )
    if most_per_day is not None:
        facts = (table[USER_INDEX].to_numpy(), table[Column.TIMESTAMP].to_numpy())
        table = table.take(first_of_day(*facts, most_per_day))
    if table.num_rows < 2:
        raise ValueError(
            f"{dataset} has {table.num_rows} examples in {' and '.join(splits)}; at least 2 are "
            "needed"
        )
    return Examples(
        users=table[USER_INDEX].to_numpy(),
        pins=table[PIN_INDEX].to_numpy(),
        timestamps=table[Column.TIMESTAMP].to_numpy(),
        statistics={name: table[name].to_numpy() for name in names},
        histories=_histories(table),
    )


def first_of_day(users: np.ndarray, timestamps: np.ndarray, most: int) -> np.ndarray:
    """Rows with fewer than `most` earlier ones of the same user in the 24 hours before: int64 [M].

    Args:
        users: int64 [N].
        timestamps: Unix seconds, ascending; of tied rows the first is the earlier, int64 [N].
        most: at least 1.
    """
    keys = users * SECONDS_OF_ALL_TIME + timestamps
    order = np.argsort(keys, kind="stable")
    num_before = np.arange(len(keys)) - np.searchsorted(keys[order], keys[order] - SECONDS_A_DAY)
    return np.sort(order[num_before < most])


def _histories(table: pa.Table) -> Histories:
    pins, actions = (table[name].combine_chunks() for name in (HISTORY, HISTORY_ACTIONS))
    # One item more, so that places can be looked up where nobody has any history.
    return Histories(
        offsets=np.concatenate([[0], np.cumsum(pins.value_lengths().to_numpy())]),
        pins=np.append(pins.flatten().to_numpy(), np.int32(0)),
        actions=np.append(actions.flatten().to_numpy(), np.int32(0)),
    )


class EncodedDataset:
    """Users and pins of a data set, encoded once; batches are gathered from it."""

    def __init__(self, dataset: Path, encoder: FeatureEncoder) -> None:
        users = pq.read_table(dataset / USERS_FILE)
        pins = pq.read_table(dataset / PINS_FILE)
        self.num_users, self.num_pins = users.num_rows, pins.num_rows
        self.encoder = encoder
        nothing = [()] * users.num_rows
        self._users = _tensors(encoder.encode_users(_columns(users, encoder.config.user), nothing))
        for name in (HISTORY, HISTORY_ACTIONS):
            del self._users[name]
        # Statistics are an example's, not a pin's: zeros stand in until a batch is made.
        names = encoder.config.statistics.columns
        zeros = dict.fromkeys(names, [0.0] * pins.num_rows)
        self._pins = _tensors(encoder.encode_pins(_columns(pins, encoder.config.pin) | zeros))
        self._num_statistics = len(names)
        known = encoder.vocabularies[Column.PIN_ID].rows
        ids = pins[Column.PIN_ID].to_pylist()
        self.pin_rows = np.array([known.get(pin, OUT_OF_VOCABULARY_ROW) for pin in ids])
        """Row of each pin_index in the vocabulary of pin ids, int64 [num_pins]."""

    def users(self, users: np.ndarray, histories: Histories, rows: np.ndarray) -> Batch:
        """The user tower's features of B users.

        Args:
            users: user_index [B].
            histories: where theirs are.
            rows: [B], theirs among the histories.
        """
        length = self.encoder.config.history.length
        pins, actions, is_there = histories.padded(rows, length)
        batch = {name: tensor[users] for name, tensor in self._users.items()}
        batch[HISTORY] = torch.from_numpy(np.where(is_there, self.pin_rows[pins], PADDING_ROW))
        batch[HISTORY_ACTIONS] = torch.from_numpy(
            np.where(is_there, actions, PADDING_ROW).astype(np.int64)
        )
        lengths = torch.from_numpy(self.encoder.scale_lengths(is_there.sum(axis=1)))
        batch[NUMERIC] = torch.cat([lengths, batch[NUMERIC][:, 1:]], dim=1)
        return batch

    def pins(self, pins: np.ndarray, statistics: Mapping[str, np.ndarray]) -> Batch:
        """The pin tower's features of N pins.

        Args:
            pins: pin_index [N].
            statistics: their sums by column, [N] each.
        """
        batch = {name: tensor[pins] for name, tensor in self._pins.items()}
        if statistics:
            scaled = torch.from_numpy(self.encoder.standardise_statistics(statistics))
            own = batch[NUMERIC][:, : -self._num_statistics]
            batch[NUMERIC] = torch.cat([own, scaled], dim=1)
        return batch


def _columns(table: pa.Table, features: Iterable[Feature]) -> dict[str, list]:
    return {each.column: table[each.column].to_pylist() for each in features}


def _tensors(arrays: Mapping[str, np.ndarray]) -> Batch:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}

"""The data set as the towers are fed it: examples as arrays, features of users and pins encoded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
from torch import Tensor

from homefeed.contracts import Column
from homefeed.dataset.layout import EXAMPLES_FOLDER, NUM_TODAY, PIN_INDEX, USER_INDEX
from homefeed.events.layout import PINS_FILE, USERS_FILE
from homefeed.features.ages import age_buckets
from homefeed.features.config import (
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    HISTORY_TIMES,
    NUMERIC,
    Feature,
)
from homefeed.features.encoder import (
    OUT_OF_VOCABULARY_ROW,
    PADDING_ROW,
    FeatureEncoder,
    Vocabulary,
)

Batch = dict[str, Tensor]

HISTORY_COLUMNS = (HISTORY, HISTORY_ACTIONS, HISTORY_TIMES)


@dataclass(frozen=True)
class Histories:
    """N histories, most recent first: row i is `[offsets[i]:offsets[i + 1]]` of the other arrays.

    Attributes:
        offsets: int64 [N + 1].
        pins: pin_index, int32.
        actions: rows of the encoder's actions, int32.
        times: Unix seconds, int64.
    """

    offsets: np.ndarray
    pins: np.ndarray
    actions: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, table: pa.Table) -> "Histories":
        """Those of a table of examples."""
        lists = [table[name].combine_chunks() for name in HISTORY_COLUMNS]
        offsets = np.concatenate([[0], np.cumsum(lists[0].value_lengths().to_numpy())])
        # One item more, so that places can be looked up where nobody has any history.
        return cls(offsets, *map(_with_one_more, lists))

    def padded(
        self, rows: np.ndarray, length: int, skip: int | np.ndarray = 0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pins, actions and times `[B, length]` of rows [B], and where there is something, bool.

        Args:
            rows: which histories.
            length: most items of each.
            skip: leaves out so many of the most recent ones, of each or of all.
        """
        starts = self.offsets[rows] + skip
        places = np.arange(length)
        is_there = places < (self.offsets[rows + 1] - starts)[:, None]
        at = np.where(is_there, starts[:, None] + places, 0)
        return self.pins[at], self.actions[at], self.times[at], is_there


@dataclass(frozen=True)
class Engagements:
    """N engagements to be learned from, ordered by time.

    Attributes:
        users: user_index, int64 [N].
        pins: pin_index, int64 [N].
        actions: rows of the encoder's actions, int64 [N].
        interests: rows of the interests that they were logged to come from, int64 [N].
        timestamps: Unix seconds, int64 [N].
        statistics: the pin's sums before the engagement by column, float32 [N] each.
    """

    users: np.ndarray
    pins: np.ndarray
    actions: np.ndarray
    interests: np.ndarray
    timestamps: np.ndarray
    statistics: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, table: pa.Table, encoder: FeatureEncoder) -> Self:
        """Those of a table of examples that is ordered by time."""
        return cls(**_facts(table, encoder))

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Examples(Engagements):
    """N engagements, ordered by time, and what their users had done before each of them."""

    histories: Histories

    @classmethod
    def of(cls, table: pa.Table, encoder: FeatureEncoder) -> Self:
        """Those of a table of examples that is ordered by time."""
        return cls(**_facts(table, encoder), histories=Histories.of(table))


def read_examples(
    dataset: Path, splits: Sequence[str], encoder: FeatureEncoder, most_per_day: int | None = None
) -> Engagements:
    """Reads splits' examples into memory, without histories: some 50 bytes each.

    Args:
        dataset: the dataset artifact.
        splits: which ones.
        encoder: the data set's encoder.
        most_per_day: leaves out what a user did after so many events in 24 hours; None for nothing.

    Raises:
        ValueError: there are not two examples, as a batch needs.
    """
    columns = [Column.EVENT_ID, Column.TIMESTAMP, *fact_columns(encoder)]
    paths = example_files(dataset, splits)
    table = ds.dataset(paths).to_table(columns, filter=early_in_day(most_per_day))
    check_enough(table.num_rows, dataset, splits)
    # A sort may not promise to keep ties in order, and equal inputs shall give equal batches.
    order = [(Column.TIMESTAMP.value, "ascending"), (Column.EVENT_ID.value, "ascending")]
    return Engagements.of(table.sort_by(order), encoder)


def example_files(dataset: Path, splits: Sequence[str]) -> list[Path]:
    """The parts of splits' examples."""
    folders = [dataset / EXAMPLES_FOLDER / split for split in splits]
    return [path for folder in folders for path in sorted(folder.glob("*.parquet"))]


def fact_columns(encoder: FeatureEncoder) -> list[str]:
    """Columns of the examples' files that `Engagements` needs, beside the time."""
    own = [Column.ACTION.value, Column.SOURCE_INTEREST.value]
    return [USER_INDEX, PIN_INDEX, *own, *encoder.config.statistics.columns]


def early_in_day(most_per_day: int | None) -> pc.Expression | None:
    """Of an example: whether its user had done less than so much in the 24 hours before it."""
    return None if most_per_day is None else pc.field(NUM_TODAY) < most_per_day


def check_enough(num_examples: int, dataset: Path, splits: Sequence[str]) -> None:
    """Refuses less than a batch needs.

    Raises:
        ValueError: there are not two examples.
    """
    if num_examples < 2:
        raise ValueError(
            f"{dataset} has {num_examples} examples in {' and '.join(splits)}; at least 2 are "
            "needed"
        )


def _facts(table: pa.Table, encoder: FeatureEncoder) -> dict[str, Any]:
    interests = encoder.vocabularies.get(Column.INTERESTS, Vocabulary(())).rows
    return {
        "users": table[USER_INDEX].to_numpy(),
        "pins": table[PIN_INDEX].to_numpy(),
        "actions": _rows(table[Column.ACTION], encoder.actions.rows),
        "interests": _rows(table[Column.SOURCE_INTEREST], interests),
        "timestamps": table[Column.TIMESTAMP].to_numpy(),
        "statistics": {name: table[name].to_numpy() for name in encoder.config.statistics.columns},
    }


def _rows(column: pa.ChunkedArray, known: Mapping[str, int]) -> np.ndarray:
    """Rows of strings in a vocabulary, int64; padding for null."""
    encoded = column.combine_chunks().dictionary_encode()
    rows = [known.get(each, OUT_OF_VOCABULARY_ROW) for each in encoded.dictionary.to_pylist()]
    places = encoded.indices.fill_null(len(rows)).to_numpy()
    return np.array([*rows, PADDING_ROW], np.int64)[places]


def _with_one_more(lists: pa.ListArray) -> np.ndarray:
    items = lists.flatten().to_numpy()
    return np.append(items, items.dtype.type(0))


class EncodedDataset:
    """Users and pins of a data set, encoded once; batches are gathered from it."""

    def __init__(self, dataset: Path, encoder: FeatureEncoder) -> None:
        users = pq.read_table(dataset / USERS_FILE)
        pins = pq.read_table(dataset / PINS_FILE)
        self.num_users, self.num_pins = users.num_rows, pins.num_rows
        self.encoder = encoder
        nothing = [()] * users.num_rows
        self._users = _tensors(encoder.encode_users(_columns(users, encoder.config.user), nothing))
        for name in (HISTORY, HISTORY_ACTIONS, HISTORY_AGES):
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

    @cached_property
    def interests(self) -> np.ndarray:
        """Rows of each pin's interests, where these are a feature, int64 [num_pins, values]."""
        return self._pins[Column.INTERESTS].numpy()

    def action_weights(self, weights: Mapping[str, float]) -> np.ndarray:
        """Weights by row of the encoder's actions; those that are not named weigh 1.

        Raises:
            ValueError: an action is named that the training part has not.
        """
        known = self.encoder.actions.rows
        if strangers := sorted(set(weights) - set(known)):
            raise ValueError(
                f"the weights of actions name {strangers}; in the training part are {sorted(known)}"
            )
        rows = np.ones(len(self.encoder.actions))
        for action, weight in weights.items():
            rows[known[action]] = weight
        return rows

    def users(
        self,
        users: np.ndarray,
        histories: Histories,
        rows: np.ndarray,
        skip: int | np.ndarray = 0,
        length: int | None = None,
    ) -> Batch:
        """The user tower's features of B users, without a condition.

        Args:
            users: user_index [B].
            histories: where theirs are.
            rows: [B], theirs among the histories.
            skip: leaves out so many of the most recent items, of each or of all.
            length: most items; without it, those that the encoder takes.
        """
        length = length or self.encoder.config.history.length
        pins, actions, times, is_there = histories.padded(rows, length, skip)
        batch = {name: tensor[users] for name, tensor in self._users.items()}
        batch[HISTORY] = torch.from_numpy(np.where(is_there, self.pin_rows[pins], PADDING_ROW))
        batch[HISTORY_ACTIONS] = torch.from_numpy(
            np.where(is_there, actions, PADDING_ROW).astype(np.int64)
        )
        # The first is the newest, so padding with it makes padding of age 0.
        ages = age_buckets(np.where(is_there, times, times[:, :1]))
        batch[HISTORY_AGES] = torch.from_numpy(ages)
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

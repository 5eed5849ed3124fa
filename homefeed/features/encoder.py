"""The one encoder that training, corpus and serving use: raw values in, towers' tensors out.

Row 0 of every vocabulary is padding (nothing there), row 1 is out-of-vocabulary (something unknown
there), known values start at row 2. Numbers are standardised with the training window's moments;
a missing or infinite number becomes the mean. Plain numpy: serving carries no training dependency.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from homefeed.contracts import Column
from homefeed.features.ages import age_buckets
from homefeed.features.config import (
    CONDITION,
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    NUMERIC,
    Categorical,
    Embedding,
    Feature,
    FeaturesConfig,
    Numeric,
)

PADDING_ROW = 0
OUT_OF_VOCABULARY_ROW = 1
FIRST_ROW = 2

FEATURES_FILE = "features.json"

Columns = Mapping[str, Sequence[Any]]
Tensors = dict[str, np.ndarray]
HISTORY_TENSORS = (HISTORY, HISTORY_ACTIONS, HISTORY_AGES)


class Vocabulary(msgspec.Struct, frozen=True, dict=True):
    """Values of a column in row order; `values[i]` has row `i + FIRST_ROW`."""

    values: tuple[str, ...]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Value to row."""
        return {value: row for row, value in enumerate(self.values, FIRST_ROW)}

    def __len__(self) -> int:
        """Rows of an embedding table for this vocabulary, padding and out-of-vocabulary too."""
        return len(self.values) + FIRST_ROW


class Moments(msgspec.Struct, frozen=True):
    """Mean and standard deviation of a numeric column after its transform."""

    mean: float
    deviation: float


class HistoryItem(msgspec.Struct, frozen=True):
    """One past engagement of a user."""

    pin_id: str
    action: str
    timestamp: int


History = Sequence[HistoryItem] | np.ndarray
"""Engagements, most recent first, or what `FeatureEncoder.encode_history` made of them."""


class TowerInputs(msgspec.Struct, frozen=True):
    """What one tower is fed, so that it can be built without the data.

    `categorical` maps a column to (rows of its vocabulary, values a row); `embeddings` maps a
    column to its dimension; `num_numeric` is the width of the tensor `numeric`.
    """

    categorical: dict[str, tuple[int, int]]
    embeddings: dict[str, int]
    num_numeric: int


class FeatureEncoder(msgspec.Struct, frozen=True, dict=True):
    """Fitted vocabularies and moments; see `homefeed.dataset.fit` for how they are fitted.

    `vocabularies` are keyed by column; `pin_id`'s is always there, for the history. `actions` is
    the vocabulary of history actions. `moments` are keyed by column of the pin side's and user
    side's numeric features and statistics.
    """

    config: FeaturesConfig
    actions: Vocabulary
    vocabularies: dict[str, Vocabulary]
    pin_moments: dict[str, Moments]
    user_moments: dict[str, Moments]

    @cached_property
    def pin_numeric(self) -> tuple[Numeric, ...]:
        """Numeric pin features in tensor order: the recipe's, then the statistics."""
        return tuple(f for f in self.config.pin if isinstance(f, Numeric)) + self._statistics

    @cached_property
    def _statistics(self) -> tuple[Numeric, ...]:
        return tuple(Numeric(c, "log1p") for c in self.config.statistics.columns)

    @cached_property
    def user_numeric(self) -> tuple[Numeric, ...]:
        """Numeric user features in tensor order, without the history's length, which is first."""
        return tuple(f for f in self.config.user if isinstance(f, Numeric))

    @cached_property
    def pin_inputs(self) -> TowerInputs:
        """What the pin tower is fed."""
        return self._inputs(self.config.pin, len(self.pin_numeric))

    @cached_property
    def user_inputs(self) -> TowerInputs:
        """What the user tower is fed, beside the history; its first number is its length."""
        return self._inputs(self.config.user, len(self.user_numeric) + 1)

    def _inputs(self, features: tuple[Feature, ...], num_numeric: int) -> TowerInputs:
        return TowerInputs(
            categorical={
                f.column: (len(self.vocabularies[f.column]), f.values)
                for f in features
                if isinstance(f, Categorical)
            },
            embeddings={f.column: f.dimension for f in features if isinstance(f, Embedding)},
            num_numeric=num_numeric,
        )

    def encode_pins(self, columns: Columns) -> Tensors:
        """Encodes B pins.

        Args:
            columns: raw values by column, B each: the pin features and the statistics.

        Returns:
            int64 [B, values] a categorical column; float32 [B, dimension] an embedding column;
            float32 [B, num_numeric] `numeric`.

        Raises:
            ValueError: a feature's column is missing, or a value is of the wrong type.
        """
        return self._encode(self.config.pin, self.pin_numeric, self.pin_moments, columns)

    def encode_users(
        self,
        columns: Columns,
        histories: Sequence[History],
        conditions: Sequence[str | None] | None = None,
    ) -> Tensors:
        """Encodes B users.

        Args:
            columns: raw values by column, B each: the user features.
            histories: B histories; cut to the configured length.
            conditions: the interest that each is asked for, None for no certain one; absent for
                none at all.

        Returns:
            As `encode_pins`; `history`, `history_actions` and `history_ages`, int64 [B, length];
            where pins have the feature `interests`, `condition`, int64 [B, 1].

        Raises:
            ValueError: a feature's column is missing, or a value is of the wrong type.
        """
        tensors = self.encode_histories(histories)
        lengths = (tensors[HISTORY] != PADDING_ROW).sum(axis=1)
        encoded = self._encode(self.config.user, self.user_numeric, self.user_moments, columns)
        numeric = encoded.pop(NUMERIC, np.zeros((len(histories), 0), np.float32))
        tensors[NUMERIC] = np.concatenate([self.scale_lengths(lengths), numeric], axis=1)
        if self.has_conditions:
            tensors[CONDITION] = self.encode_conditions(conditions or [None] * len(histories))
        return tensors | encoded

    @property
    def has_conditions(self) -> bool:
        """Whether interests have rows, so that users can be asked for one of them."""
        return Column.INTERESTS in self.vocabularies

    def encode_conditions(self, conditions: Sequence[str | None]) -> np.ndarray:
        """Rows of B interests among the pins' interests, int64 [B, 1]; padding for none."""
        rows = self.vocabularies[Column.INTERESTS].rows
        found = [
            PADDING_ROW if name is None else rows.get(name, OUT_OF_VOCABULARY_ROW)
            for name in conditions
        ]
        return np.array(found, np.int64)[:, None]

    def encode_histories(self, histories: Sequence[History]) -> Tensors:
        """History's pins, actions and ages, int64 [B, length] each, of B histories."""
        tensors = np.zeros((3, len(histories), self.config.history.length), np.int64)
        for row, history in enumerate(histories):
            encoded = history if isinstance(history, np.ndarray) else self.encode_history(history)
            tensors[:, row, : encoded.shape[1]] = encoded
        return dict(zip(HISTORY_TENSORS, tensors, strict=True))

    def encode_history(self, history: Sequence[HistoryItem]) -> np.ndarray:
        """Rows of a history's pins and actions and buckets of its ages, int64 [3, items].

        Args:
            history: most recent first; cut to the configured length.
        """
        kept = history[: self.config.history.length]
        pins, actions = self.vocabularies[Column.PIN_ID].rows, self.actions.rows
        encoded = np.zeros((3, len(kept)), np.int64)
        encoded[0] = [pins.get(item.pin_id, OUT_OF_VOCABULARY_ROW) for item in kept]
        encoded[1] = [actions.get(item.action, OUT_OF_VOCABULARY_ROW) for item in kept]
        encoded[2] = age_buckets(np.array([item.timestamp for item in kept]))
        return encoded

    def scale_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """History lengths [B] as the tower's first number, float32 [B, 1] in [0, 1]."""
        scaled = np.log1p(lengths) / np.log1p(self.config.history.length)
        return scaled.astype(np.float32)[:, None]

    def standardise_statistics(self, columns: Mapping[str, Any]) -> np.ndarray:
        """The last numbers of the pin tower, float32 [B, statistics], from raw columns of B sums.

        Training takes these from each example, the others from the pins.
        """
        return _standardise(self._statistics, self.pin_moments, columns)

    def _encode(
        self,
        features: tuple[Feature, ...],
        numeric: tuple[Numeric, ...],
        moments: Mapping[str, Moments],
        columns: Columns,
    ) -> Tensors:
        tensors: Tensors = {}
        for feature in features:
            if isinstance(feature, Categorical):
                values = _column(columns, feature.column)
                tensors[feature.column] = self._look_up(feature, values)
            elif isinstance(feature, Embedding):
                values = _column(columns, feature.column)
                tensors[feature.column] = _embeddings(feature, values)
        if numeric:
            tensors[NUMERIC] = _standardise(numeric, moments, columns)
        return tensors

    def _look_up(self, feature: Categorical, values: Sequence[Any]) -> np.ndarray:
        rows = self.vocabularies[feature.column].rows
        out = np.zeros((len(values), feature.values), np.int64)
        for row, value in enumerate(values):
            if isinstance(value, str):
                out[row, 0] = rows.get(value, OUT_OF_VOCABULARY_ROW)
            elif value is None:
                out[row, 0] = OUT_OF_VOCABULARY_ROW if feature.values == 1 else PADDING_ROW
            elif isinstance(value, list | tuple | np.ndarray):
                kept = value[: feature.values]
                if not all(isinstance(each, str) for each in kept):
                    raise _no_categorical(feature, value)
                out[row, : len(kept)] = [rows.get(v, OUT_OF_VOCABULARY_ROW) for v in kept]
            else:
                raise _no_categorical(feature, value)
        return out

    def save(self, path: Path) -> None:
        """Writes the encoder as JSON; equal encoders give equal bytes."""
        path.write_bytes(msgspec.json.encode(self, order="sorted"))

    @classmethod
    def load(cls, path: Path) -> "FeatureEncoder":
        """Reads what `save` wrote.

        Raises:
            ValueError: the file is no encoder of this version.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path} is no feature encoder: {error}") from error


def _no_categorical(feature: Categorical, value: Any) -> ValueError:
    return ValueError(
        f"feature {feature.column!r} is categorical: {value!r} is neither a string nor a list of "
        "strings"
    )


def transformed(numeric: Numeric, values: np.ndarray) -> np.ndarray:
    """A numeric column after its transform, before standardising; missing values are NaN."""
    return np.log1p(np.maximum(values, 0)) if numeric.transform == "log1p" else values


def _standardise(
    numeric: Sequence[Numeric], moments: Mapping[str, Moments], columns: Mapping[str, Any]
) -> np.ndarray:
    parts = []
    for feature in numeric:
        try:
            raw = np.asarray(_column(columns, feature.column), np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"feature {feature.column!r} is numeric: {error}") from error
        fitted = moments[feature.column]
        scaled = (transformed(feature, raw) - fitted.mean) / fitted.deviation
        parts.append(np.where(np.isfinite(scaled), scaled, 0.0))
    return np.stack(parts, axis=1).astype(np.float32)


def _embeddings(feature: Embedding, values: Sequence[Any]) -> np.ndarray:
    out = np.zeros((len(values), feature.dimension), np.float32)
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            vector = np.asarray(value, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(f"feature {feature.column!r} is an embedding: {error}") from error
        if vector.shape != (feature.dimension,):
            raise ValueError(
                f"feature {feature.column!r} has {feature.dimension} dimensions, "
                f"a row holds the shape {vector.shape}"
            )
        out[row] = vector
    return out


def _column(columns: Mapping[str, Any], name: str) -> Any:
    if name not in columns:
        raise ValueError(f"feature {name!r} is missing; there are {sorted(columns)}")
    return columns[name]

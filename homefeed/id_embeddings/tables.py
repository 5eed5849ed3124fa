"""Reads ID embeddings: what a consumer looks ids up in."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from homefeed.contracts import MANIFEST_FILE, Column, Manifest, read_manifest, verify_files
from homefeed.id_embeddings.layout import (
    EMBEDDING,
    ID_EMBEDDINGS,
    PIN_TABLE_FILE,
    TRAINING_FILE,
    USER_TABLE_FILE,
)

OUT_OF_TABLE_ROW = 0
"""Ids without a vector of their own share the zero vector: its inner product with any other is 0,
and it is what dropout makes of a whole vector."""


@dataclass(frozen=True)
class IdTable:
    """One table.

    Attributes:
        ids: those that have a vector, sorted, N of them.
        vectors: float32 [N + 1, D], unit vectors but for the first, which is the out-of-table
            row; `ids[i]` has row i + 1.
    """

    ids: tuple[str, ...]
    vectors: np.ndarray

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """The row of each id, int64 [B]."""
        return np.array([self._rows.get(each, OUT_OF_TABLE_ROW) for each in ids], np.int64)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {each: row for row, each in enumerate(self.ids, OUT_OF_TABLE_ROW + 1)}


def read_user_table(folder: Path) -> IdTable:
    """Reads the user table of an artifact into memory."""
    return _read(folder / USER_TABLE_FILE, Column.USER_ID)


def read_pin_table(folder: Path) -> IdTable:
    """Reads the pin table of an artifact into memory."""
    return _read(folder / PIN_TABLE_FILE, Column.PIN_ID)


def verify(folder: Path) -> Manifest:
    """Reads an artifact's manifest and compares every file with its sha256.

    Raises:
        ValueError: the folder holds no ID embeddings, or a file is missing or changed; names it.
    """
    manifest = read_manifest(folder, ID_EMBEDDINGS)
    if set(manifest.files) != {USER_TABLE_FILE, PIN_TABLE_FILE, TRAINING_FILE}:
        raise ValueError(
            f"{folder / MANIFEST_FILE} names the files {', '.join(sorted(manifest.files))}; ID "
            f"embeddings are {USER_TABLE_FILE}, {PIN_TABLE_FILE} and {TRAINING_FILE}"
        )
    title, what_to_do = "the artifact of ID embeddings", "fetch or train it again"
    verify_files(folder, manifest, manifest.files, title, what_to_do)
    return manifest


def _read(path: Path, id_column: str) -> IdTable:
    table = pq.read_table(path)
    vectors = table[EMBEDDING].combine_chunks()
    own = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    out_of_table = np.zeros((1, own.shape[1]), np.float32)
    return IdTable(tuple(table[id_column].to_pylist()), np.concatenate([out_of_table, own]))

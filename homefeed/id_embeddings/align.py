"""Brings ID embeddings into the order of an encoder's vocabulary, as the towers look ids up."""

import sys

import numpy as np

from homefeed.features.encoder import FIRST_ROW, Vocabulary
from homefeed.id_embeddings.tables import OUT_OF_TABLE_ROW, IdTable


def align(table: IdTable, vocabulary: Vocabulary) -> np.ndarray:
    """The vectors of a vocabulary's ids, float32 `[len(vocabulary), D]`.

    Padding, the out-of-vocabulary row and ids that the table lacks are zeros, its out-of-table row.
    How many ids have a vector is said on standard error: the others learn nothing from the table.
    """
    rows = np.full(len(vocabulary), OUT_OF_TABLE_ROW, np.int64)
    rows[FIRST_ROW:] = table.rows(vocabulary.values)
    num_found = int((rows != OUT_OF_TABLE_ROW).sum())
    share = num_found / max(len(vocabulary.values), 1)
    print(
        f"ID embeddings: {num_found:,} of {len(vocabulary.values):,} known ids have a vector "
        f"({share:.1%})",
        file=sys.stderr,
    )
    return table.vectors[rows]

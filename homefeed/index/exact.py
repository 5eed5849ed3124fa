"""Exact search: score every row of some blocks, keep the best."""

from collections.abc import Iterator, Sequence

import numpy as np

from homefeed.index.order import best_first
from homefeed.index.postings import Block

NUM_ROWS_AT_ONCE = 65_536
"""Bounds the scores in memory, whatever the corpus: 256 KiB a query vector."""


def top_rows(
    vectors: np.ndarray, blocks: Sequence[Block], queries: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best rows by inner product: `queries[Q, D]` against the `blocks` of `vectors[N, D]`.

    Returns:
        rows int64 [Q, M] and scores float32 [Q, M], best first, equal scores by row;
        `M = min(depth, rows in all blocks)`.
    """
    rows = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for block in _pieces(blocks):
        own_rows, own_scores = _best_of(vectors, block, queries, depth)
        if not rows.shape[1]:
            rows, scores = own_rows, own_scores
            continue
        rows = np.concatenate([rows, own_rows], axis=1)
        scores = np.concatenate([scores, own_scores], axis=1)
        if scores.shape[1] > depth:
            best = _largest(scores, depth)
            rows, scores = rows[best], scores[best]
    return best_first(rows, scores)


def _best_of(
    vectors: np.ndarray, block: Block, queries: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best rows of one block and their scores, [Q, min(depth, len(block))], in no order."""
    if isinstance(block, range):
        scores = queries @ vectors[block.start : block.stop].T
        best = _largest(scores, depth)
        return best[1] + block.start, scores[best]
    scores = queries @ vectors.take(block, axis=0).T
    best = _largest(scores, depth)
    return block[best[1]], scores[best]


def _largest(scores: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the `depth` largest of each row of `scores[Q, N]`, in no order: two int64 [Q, M]."""
    num_queries, num_rows = scores.shape
    if depth >= num_rows:
        places = np.broadcast_to(np.arange(num_rows), scores.shape)
    else:
        places = np.argpartition(scores, num_rows - depth, axis=1)[:, num_rows - depth :]
    # Plain indices take a third of what np.take_along_axis takes.
    return np.arange(num_queries)[:, None], places


def _pieces(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        for start in range(0, len(block), NUM_ROWS_AT_ONCE):
            yield block[start : start + NUM_ROWS_AT_ONCE]

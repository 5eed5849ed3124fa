"""Exact search: score every row of some blocks, keep the best."""

from collections.abc import Iterator, Sequence

import numpy as np

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
    best_rows = np.empty((len(queries), 0), np.int64)
    best_scores = np.empty((len(queries), 0), np.float32)
    for block in _pieces(blocks):
        if isinstance(block, range):
            scores = queries @ vectors[block.start : block.stop].T
            places = _largest(scores, depth)
            rows = places + block.start
        else:
            scores = queries @ vectors.take(block, axis=0).T
            places = _largest(scores, depth)
            rows = block[places]
        best_rows = np.concatenate([best_rows, rows], axis=1)
        best_scores = np.concatenate([best_scores, np.take_along_axis(scores, places, 1)], axis=1)
        if best_scores.shape[1] > depth:
            places = _largest(best_scores, depth)
            best_rows = np.take_along_axis(best_rows, places, 1)
            best_scores = np.take_along_axis(best_scores, places, 1)
    return _best_first(best_rows, best_scores)


def _largest(scores: np.ndarray, depth: int) -> np.ndarray:
    """Places of the `depth` largest of each row of `scores[Q, N]`, in no order."""
    cut = scores.shape[1] - depth
    if cut <= 0:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, cut, axis=1)[:, cut:]


def _best_first(rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both by falling score, equal scores by row; sorts one integer for each pair.

    That is several times faster than `np.lexsort`, which took a third of a search. The bits of a
    float32 that is not negative sort as it does; those of a negative one sort the other way round.
    """
    # 0 is added as −0 and 0 are equal.
    bits = (-scores + np.float32(0)).view(np.int32)
    falling = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    order = np.sort(falling << 32 | rows, axis=1)
    bits = (order >> 32).astype(np.int32)
    in_order = -np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).view(np.float32)
    return order & 0xFFFFFFFF, in_order


def _pieces(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        for start in range(0, len(block), NUM_ROWS_AT_ONCE):
            yield block[start : start + NUM_ROWS_AT_ONCE]

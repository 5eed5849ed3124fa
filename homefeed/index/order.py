"""The order of candidates: best first, equal scores by row."""

import numpy as np


def best_first(rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows int64 [..., M] and scores float32 [..., M] by falling score, equal scores by row.

    It sorts one integer for each pair, several times faster than `np.lexsort`, which took a third
    of a search. The bits of a float32 that is not negative sort as it does; those of a negative one
    sort the other way round.
    """
    # From 0, as −0 and 0 are equal.
    keys = _flip_negative((np.float32(0) - scores).view(np.int32)).astype(np.int64)
    keys <<= 32
    keys |= rows
    keys.sort(axis=-1)
    bits = _flip_negative((keys >> 32).astype(np.int32))
    return keys & 0xFFFFFFFF, np.float32(0) - bits.view(np.float32)


def _flip_negative(bits: np.ndarray) -> np.ndarray:
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))

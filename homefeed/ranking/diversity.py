"""How much a user's recommended pins differ from each other."""

import numpy as np

from homefeed.ranking.metrics import NO_PIN

USERS_AT_ONCE = 256


def intra_list_diversity(recommended: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """Mean over the pairs among the first k pins of 1 - |A & B| / |A | B|: float64 [U].

    A and B are the groups of the two pins; two pins without any are alike. A user with fewer than
    two pins has 0.

    Args:
        recommended: pins, best first, filled up by `NO_PIN`: int64 [U, K], K >= k.
        groups: which groups each pin is in, bool [P, G].
        k: cutoff.
    """
    found = [np.zeros(0)]
    for start in range(0, len(recommended), USERS_AT_ONCE):
        pins = recommended[start : start + USERS_AT_ONCE, :k]
        is_pin = pins != NO_PIN
        own = groups[pins].astype(np.float32) * is_pin[:, :, None]
        sizes = own.sum(axis=2)
        common = own @ own.transpose(0, 2, 1)
        either = sizes[:, :, None] + sizes[:, None, :] - common
        distances = 1 - np.where(either > 0, common / np.maximum(either, 1), 1)
        is_pair = is_pin[:, :, None] & is_pin[:, None, :] & ~np.eye(pins.shape[1], dtype=bool)
        num_pairs = is_pair.sum(axis=(1, 2))
        total = (distances * is_pair).sum(axis=(1, 2), dtype=np.float64)
        found.append(total / np.maximum(num_pairs, 1))
    return np.concatenate(found)

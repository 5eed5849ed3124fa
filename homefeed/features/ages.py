"""How old the actions of a history are, in buckets: the same for training and serving.

Ages count from the newest action of the history, not from the request: so they need no clock, and
are the same for a snapshot of an hour ago.
"""

import numpy as np

NUM_AGE_BUCKETS = 34
"""Bucket 0 is the newest action's own second, and padding; bucket i holds ages of 2^(i-1) seconds
and more, the last all from 2^32 (136 years) on."""


def age_buckets(timestamps: np.ndarray) -> np.ndarray:
    """Buckets of the ages of histories' actions, int64 of the same shape.

    Args:
        timestamps: Unix seconds, `[..., L]`, L actions a history in any order.
    """
    if not timestamps.size:
        return np.zeros(timestamps.shape, np.int64)
    ages = timestamps.max(axis=-1, keepdims=True) - timestamps
    # frexp's exponent is 1 + floor(log2(age)), and 0 for 0.
    exponents = np.frexp(ages.astype(np.float64))[1].astype(np.int64)
    return np.minimum(exponents, NUM_AGE_BUCKETS - 1)

"""95 % intervals over seeds, over seeds and users, and over repeats."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom
from scipy.stats import t as student

LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean or median and the bounds of its interval; None where repeats are too few for one."""

    value: float
    low: float | None
    high: float | None


def over_seeds(values: np.ndarray) -> Estimate:
    """Of one number a seed, `values[S]`: Student's interval."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, None, None)
    return _estimate(mean, values.var(ddof=1) / len(values), len(values) - 1)


def over_seeds_and_users(gains: np.ndarray) -> Estimate:
    """Of paired differences `gains[S, U]` of S seeds and U users.

    Both are drawn: other seeds and other users would have given other numbers. The variance of the
    mean is at most that of the S means over users, over S, plus that of the U means over seeds,
    over U: what is of neither alone counts twice. Degrees of freedom are Satterthwaite's.
    """
    mean, (num_seeds, num_users) = float(gains.mean()), gains.shape
    parts = []
    if num_users > 1:
        parts.append((gains.mean(axis=0).var(ddof=1) / num_users, num_users - 1))
    if num_seeds > 1:
        parts.append((gains.mean(axis=1).var(ddof=1) / num_seeds, num_seeds - 1))
    variance = sum(own for own, _ in parts)
    if not variance:
        return Estimate(mean, mean, mean)
    freedom = variance**2 / sum(own**2 / degrees for own, degrees in parts)
    return _estimate(mean, variance, freedom)


def over_repeats(values: np.ndarray) -> Estimate:
    """Of one number a repeat, `values[R]`: the median, between two of the values.

    Repeats on a machine with other work have outliers, so nothing is taken for granted of their
    distribution: the median lies below the smallest of R values once in 2^R times. It takes six.
    """
    rank = int(binom.ppf((1 - LEVEL) / 2, len(values), 0.5))
    median = float(np.median(values))
    if rank < 1:
        return Estimate(median, None, None)
    in_order = np.sort(values)
    return Estimate(median, float(in_order[rank - 1]), float(in_order[-rank]))


def _estimate(mean: float, variance: float, freedom: float) -> Estimate:
    half = float(student.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance))
    return Estimate(mean, mean - half, mean + half)

"""How far one distribution is from another: PSI and KS, of numbers and of categories."""

import msgspec
import numpy as np

NUM_PARTS = 10
"""PSI's parts, each with as equal a share of the expected values as ties allow."""
FLOOR = 0.005
"""Smallest share of a part, on either side: an empty one would weigh without bound."""
NUM_CATEGORIES = 20
"""So many of the most frequent expected categories are parts of their own, the others one part."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One feature on both sides; each side's shares of the same parts add up to 1."""

    feature: str
    psi: float
    ks: float | None
    """None for categories, which have no order."""
    parts: tuple[str, ...]
    expected: tuple[float, ...]
    found: tuple[float, ...]
    unknown: tuple[float, float] | None = None
    """Share of values out of vocabulary, expected and found; None where there is no vocabulary."""
    medians: tuple[float, float] | None = None
    """Of numbers, expected and found."""
    is_judged: bool = True
    """Whether the limits hold for it."""


def compare_numbers(
    feature: str, expected: np.ndarray, found: np.ndarray, *, is_judged: bool = True
) -> Comparison:
    """Compares numbers, NaN for those that are missing, which make a part of their own.

    Args:
        feature: its name.
        expected: float [N], at least one.
        found: float [M], at least one.
        is_judged: whether the limits hold for it.
    """
    sides = [side[~np.isnan(side)] for side in (expected, found)]
    edges = (
        np.unique(np.quantile(sides[0], np.arange(1, NUM_PARTS) / NUM_PARTS))
        if len(sides[0])
        else np.zeros(0)
    )
    shares = []
    for every, there in zip((expected, found), sides, strict=True):
        places = np.searchsorted(edges, there, side="right")
        counts = np.bincount(places, minlength=len(edges) + 1)
        shares.append(np.append(counts, len(every) - len(there)) / len(every))
    both = all(len(side) for side in sides)
    return Comparison(
        feature=feature,
        psi=population_stability(*shares),
        ks=largest_difference(*sides) if both else float(len(sides[0]) != len(sides[1])),
        parts=(*_name_parts(edges), "missing"),
        expected=tuple(shares[0].tolist()),
        found=tuple(shares[1].tolist()),
        medians=(float(np.median(sides[0])), float(np.median(sides[1]))) if both else None,
        is_judged=is_judged,
    )


def compare_categories(
    feature: str, expected: np.ndarray, found: np.ndarray, names: dict[int, str], unknown: int
) -> Comparison:
    """Compares rows of a vocabulary.

    Args:
        feature: its name.
        expected: int [N], at least one.
        found: int [M], at least one.
        names: of rows; others are shown by their number.
        unknown: the row of what is out of vocabulary.
    """
    values, counts = np.unique(expected, return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")][:NUM_CATEGORIES]
    shares = []
    for side in (expected, found):
        own = [float(np.mean(side == value)) for value in frequent]
        shares.append(np.array([*own, max(0.0, 1 - sum(own))]))
    return Comparison(
        feature=feature,
        psi=population_stability(*shares),
        ks=None,
        parts=(*(names.get(int(value), str(value)) for value in frequent), "others"),
        expected=tuple(shares[0].tolist()),
        found=tuple(shares[1].tolist()),
        unknown=(float(np.mean(expected == unknown)), float(np.mean(found == unknown))),
    )


def population_stability(expected: np.ndarray, found: np.ndarray) -> float:
    """PSI of two sides' shares [P] of the same parts: `sum((f - e) * ln(f / e))`."""
    e, f = np.maximum(expected, FLOOR), np.maximum(found, FLOOR)
    return float(((f - e) * np.log(f / e)).sum())


def largest_difference(expected: np.ndarray, found: np.ndarray) -> float:
    """KS of two samples [N] and [M]: the largest distance of their distribution functions."""
    every = np.concatenate([expected, found])
    below = [
        np.searchsorted(np.sort(side), every, side="right") / len(side)
        for side in (expected, found)
    ]
    return float(np.abs(below[0] - below[1]).max())


def _name_parts(edges: np.ndarray) -> list[str]:
    numbers = [f"{edge:.3g}" for edge in edges]
    if not numbers:
        return ["any"]
    between = [f"{low}–{high}" for low, high in zip(numbers, numbers[1:], strict=False)]
    return [f"< {numbers[0]}", *between, f"≥ {numbers[-1]}"]

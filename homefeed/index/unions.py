"""Unions of interests, as requests name several: a few of all sizes, to measure recall with."""

from collections.abc import Collection, Sequence

import numpy as np

from homefeed.index.postings import Codes, Postings

NUM_UNIONS = 8
NUM_FOLLOWED = 20
NUM_DRAWN = 20
SIZES = (2, 3)
"""Interests of a union that is drawn."""
SEED = 0


def choose_unions(
    postings: Postings, follows: Sequence[Collection[str]], scan_up_to: int
) -> list[Codes]:
    """Unions with more pins than are scanned in any case, the smallest first.

    They are interests that users follow together, where that is known, and others drawn by their
    numbers of pins. Of these the sizes lie as far apart as can be: a small union leaves the lists
    that are searched emptier than any interest alone that is not scanned may do.

    Args:
        postings: of the index.
        follows: the interests of each of some users.
        scan_up_to: filters of at most so many pins are scanned.
    """
    known = frozenset(postings.interests)
    together = dict.fromkeys(tuple(sorted(known.intersection(own))) for own in follows)
    followed = [names for names in together if len(names) > 1][:NUM_FOLLOWED]
    subsets = {
        codes: postings.subset(codes)
        for codes in dict.fromkeys(map(postings.codes, [*followed, *_draw(postings)]))
    }
    by_size = sorted(
        (subset.num_rows, codes)
        for codes, subset in subsets.items()
        if subset.num_rows > scan_up_to and not subset.is_whole
    )
    places = np.linspace(0, len(by_size) - 1, min(NUM_UNIONS, len(by_size))).round().astype(int)
    return [by_size[place][1] for place in places]


def _draw(postings: Postings) -> list[list[str]]:
    names = postings.interests
    sizes = [size for size in SIZES if size <= len(names)]
    if not sizes:
        return []
    num_pins = np.array([postings.subset(postings.codes((name,))).num_rows for name in names])
    rng, chances = np.random.default_rng(SEED), num_pins / num_pins.sum()
    return [
        rng.choice(names, sizes[place % len(sizes)], replace=False, p=chances).tolist()
        for place in range(NUM_DRAWN)
    ]

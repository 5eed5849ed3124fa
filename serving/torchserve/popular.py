"""What is answered while the search cannot be asked: the release's popular pins."""

from collections.abc import Collection, Sequence
from itertools import chain, zip_longest

from homefeed.release.bundle import Popular


def best_popular(
    popular: Popular, k: int, interests: Sequence[str], exclude: Collection[str]
) -> list[str]:
    """The k most popular pins that pass a filter.

    Several interests take turns, since their lists have no scores to compare.

    Args:
        popular: the release's lists, best first.
        k: most pins to return.
        interests: the filter; empty is none, several are a union.
        exclude: ids that must not come back.
    """
    names = dict.fromkeys(interests)
    lists = [popular.interests.get(name, ()) for name in names] or [popular.pins]
    found: dict[str, None] = {}
    for pin_id in chain.from_iterable(zip_longest(*lists)):
        if len(found) == k:
            break
        if pin_id is not None and pin_id not in exclude:
            found[pin_id] = None
    return list(found)

"""What is answered while the search cannot be asked: the release's popular pins."""

from collections.abc import Collection, Sequence
from itertools import chain, islice, zip_longest

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
    lists = [popular.interests.get(name, ()) for name in interests] or [popular.pins]
    turns = dict.fromkeys(chain.from_iterable(zip_longest(*lists)))
    allowed = (pin_id for pin_id in turns if pin_id is not None and pin_id not in exclude)
    return list(islice(allowed, k))

"""Several lists a user become one: equal turns, nothing twice; for many users at once."""

import numpy as np

from homefeed.ranking.metrics import NO_PIN


def take_turns(lists: np.ndarray, is_used: np.ndarray, num_pins: int, k: int) -> np.ndarray:
    """Takes each list's best remaining pin in turn until there are k.

    What `homefeed.index.merge.round_robin` does for one request, without exclusions, which these
    lists must have left out already.

    Args:
        lists: pins 0..num_pins - 1 of K lists a user, best first, filled up by `NO_PIN`:
            int64 [B, K, M]. M is at least k, or no pin is missing from any list.
        is_used: which lists take turns, at least one a user, bool [B, K].
        num_pins: pins there are.
        k: pins for each user.

    Returns:
        int64 [B, k], filled up by `NO_PIN`.
    """
    users = np.arange(len(lists))
    in_turn = np.argsort(~is_used, axis=1, kind="stable")
    num_used = is_used.sum(axis=1)
    # One column more, which NO_PIN = -1 finds: it is never free.
    is_taken = np.zeros((len(lists), num_pins + 1), bool)
    is_taken[:, NO_PIN] = True
    merged = np.full((len(lists), k), NO_PIN, np.int64)
    for place in range(k):
        own = lists[users, in_turn[users, place % num_used]]
        is_free = ~np.take_along_axis(is_taken, own, axis=1)
        first = is_free.argmax(axis=1)
        found = np.where(is_free[users, first], own[users, first], NO_PIN)
        merged[:, place] = found
        is_taken[users, found] = True
    return merged

"""Several sources' candidates become one list: equal turns, nothing twice."""

from collections.abc import Collection, Sequence

import numpy as np

from homefeed.index.pin_ids import PinIds
from homefeed.index.protocol import Hits

Candidates = tuple[np.ndarray, np.ndarray]
"""One source's rows int64 [M] and scores float32 [M], best first."""


def round_robin(
    sources: Sequence[Candidates],
    signatures: np.ndarray,
    pin_ids: PinIds,
    k: int,
    exclude: Collection[str],
) -> Hits:
    """Takes each source's best remaining candidate in turn until there are k.

    A candidate is passed over when its id is excluded or its signature is already taken, so no
    turn is lost to it.

    Args:
        sources: the candidates of each query vector.
        signatures: canonical signature of each row, int32 [num_pins].
        pin_ids: id of each row.
        k: most pins to return.
        exclude: ids that must not come back.
    """
    found: list[str] = []
    scores: list[float] = []
    origins: list[int] = []
    taken: set[int] = set()
    waiting = [
        (source, zip(rows.tolist(), values.tolist(), signatures[rows].tolist(), strict=True))
        for source, (rows, values) in enumerate(sources)
    ]
    while waiting and len(found) < k:
        still_waiting = []
        for source, candidates in waiting:
            for row, score, signature in candidates:
                if signature in taken or (pin_id := pin_ids[row]) in exclude:
                    continue
                taken.add(signature)
                found.append(pin_id)
                scores.append(score)
                origins.append(source)
                still_waiting.append((source, candidates))
                break
            if len(found) == k:
                break
        waiting = still_waiting
    return Hits(tuple(found), tuple(scores), tuple(origins))

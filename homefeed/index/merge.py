"""Several sources' candidates become one list: equal turns, nothing twice."""

from collections.abc import Collection, Iterator, Sequence

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
    # A batch looks as deep as its deepest query: what lies beyond a query's own depth is seldom
    # reached, and to make Python numbers of it took as long as the turns.
    depth = k + len(exclude)
    waiting = [
        (source, _listed(rows, values, signatures, depth))
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


def _listed(
    rows: np.ndarray, scores: np.ndarray, signatures: np.ndarray, depth: int
) -> Iterator[tuple[int, float, int]]:
    """Row, score and signature of each candidate; those beyond a depth are made when asked for."""
    for part in (slice(depth), slice(depth, None)):
        own = rows[part]
        yield from zip(own.tolist(), scores[part].tolist(), signatures[own].tolist(), strict=True)

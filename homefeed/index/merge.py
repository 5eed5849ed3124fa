"""Several sources' candidates become one list: equal turns, nothing twice."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from homefeed.index.pin_ids import PinIds
from homefeed.index.protocol import Hits, Query

Candidates = tuple[np.ndarray, np.ndarray]
"""One source's rows int64 [M] and scores float32 [M], best first."""


class Excluded(NamedTuple):
    """Pins that must not come back, by id and by row of the index."""

    pin_ids: frozenset[str] = frozenset()
    rows: frozenset[int] = frozenset()

    @classmethod
    def of(cls, query: Query) -> "Excluded":
        """Those of a query.

        Raises:
            ValueError: `exclude_rows` ends within a row.
        """
        if len(query.exclude_rows) % 4:
            raise ValueError(
                f"exclude_rows holds {len(query.exclude_rows)} bytes; each row is an int32 of 4"
            )
        rows = np.frombuffer(query.exclude_rows, "<i4")
        return cls(frozenset(query.exclude), frozenset(rows.tolist()))

    @property
    def num_pins(self) -> int:
        """Most pins of an index that these are."""
        return len(self.pin_ids) + len(self.rows)


def round_robin(
    sources: Sequence[Candidates],
    signatures: np.ndarray,
    pin_ids: PinIds,
    k: int,
    excluded: Excluded,
) -> Hits:
    """Takes each source's best remaining candidate in turn until there are k.

    A candidate is passed over when it is excluded or its signature is already taken, so no
    turn is lost to it.

    Args:
        sources: the candidates of each query vector.
        signatures: canonical signature of each row, int32 [num_pins].
        pin_ids: id of each row.
        k: most pins to return.
        excluded: what must not come back.
    """
    found: list[str] = []
    scores: list[float] = []
    origins: list[int] = []
    taken: set[int] = set()
    turns = deque(
        (source, _listed(rows, values, signatures, k))
        for source, (rows, values) in enumerate(sources)
    )
    while turns and len(found) < k:
        source, candidates = turns.popleft()
        for row, score, signature in candidates:
            if signature in taken or row in excluded.rows:
                continue
            if (pin_id := pin_ids[row]) in excluded.pin_ids:
                continue
            taken.add(signature)
            found.append(pin_id)
            scores.append(score)
            origins.append(source)
            # A source that is left alone has every turn.
            if turns or len(found) == k:
                turns.append((source, candidates))
                break
    return Hits(tuple(found), tuple(scores), tuple(origins))


def _listed(
    rows: np.ndarray, scores: np.ndarray, signatures: np.ndarray, num_at_first: int
) -> Iterator[tuple[int, float, int]]:
    """Row, score and signature of each candidate.

    Ever more at a time: most of what lies beyond the pins that are wanted is never reached, and to
    make Python numbers of all of it took as long as the turns.
    """
    start, stop = 0, num_at_first
    while start < len(rows):
        own = rows[start:stop]
        values = scores[start:stop]
        yield from zip(own.tolist(), values.tolist(), signatures[own].tolist(), strict=True)
        start, stop = stop, 2 * stop

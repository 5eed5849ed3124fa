"""The search engine: k pins for a user's vectors, exact under every filter.

A filter is planned by its exact number of rows: few are scanned, a large share is left to the
approximate index with a bitmap, and where that has too few to choose from the rows are scanned
after all.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from homefeed.contracts import read_manifest
from homefeed.index.approximate import ApproximateIndex
from homefeed.index.exact import top_rows
from homefeed.index.layout import ANN, INDEX, SIGNATURES, VECTORS, load_array
from homefeed.index.merge import Candidates, round_robin
from homefeed.index.pin_ids import PinIds
from homefeed.index.postings import Codes, Postings, Subset
from homefeed.index.protocol import Hits, Query

T = TypeVar("T")

DEEPEN_FACTOR = 4
"""How much further a scan looks when near-duplicates used up its candidates."""


class Strategy(StrEnum):
    """How a query was answered."""

    ALL = "all"  # exact, over the whole corpus
    POSTINGS = "postings"  # exact, over the posting lists of the filter
    ANN = "ann"  # approximate
    FALLBACK = "fallback"  # exact, because the approximate search found too few


class IndexDetails(NamedTuple):
    """What an index's manifest says under `details`, as far as the search needs it."""

    embedding_space: str
    dimension: int
    num_pins: int
    num_signatures: int
    scan_up_to: int
    num_probes: int | None


class _Search(NamedTuple):
    """A checked query: `vectors` float32 [K, D]."""

    vectors: np.ndarray
    codes: Codes
    k: int
    exclude: frozenset[str]


def _ignore(_: Strategy) -> None:
    return


class SearchEngine:
    """Searches one index; immutable, and safe to use from several threads.

    Every answer keeps to this: no pin outside the filter, no excluded pin, no two pins with one
    canonical signature, scores descending within each source, and exactly `min(k, signatures that
    are eligible)` pins.
    """

    def __init__(
        self,
        details: IndexDetails,
        vectors: np.ndarray,
        pin_ids: PinIds,
        signatures: np.ndarray,
        postings: Postings,
        approximate: ApproximateIndex | None,
    ) -> None:
        self.details = details
        self._vectors = vectors
        self._pin_ids = pin_ids
        self._signatures = signatures
        self._postings = postings
        self._approximate = approximate

    @property
    def interests(self) -> tuple[str, ...]:
        """Names of all interests that queries can filter by, sorted."""
        return self._postings.interests

    def search(self, query: Query) -> Hits:
        """Answers one query; see `search_batch`."""
        return self.search_batch((query,))[0]

    def search_batch(
        self, queries: Sequence[Query], on_strategy: Callable[[Strategy], None] = _ignore
    ) -> tuple[Hits, ...]:
        """Answers queries, in order; those with the same filter share one pass over the vectors.

        Args:
            queries: what to search.
            on_strategy: called for each query with how it was answered.

        Raises:
            ValueError: a query's vectors, k or interests do not fit; names the query and field.
        """
        groups: dict[Codes, dict[int, _Search]] = {}
        for place, query in enumerate(queries):
            try:
                search = self._check(query)
            except ValueError as error:
                raise ValueError(f"queries[{place}].{error}") from error
            groups.setdefault(search.codes, {})[place] = search
        hits: dict[int, Hits] = {}
        for codes, searches in groups.items():
            hits |= self._answer(self._postings.subset(codes), searches, on_strategy)
        return tuple(hits[place] for place in range(len(queries)))

    def warm_up(self, num_searches: int = 200) -> None:
        """Reads the mapped vectors once and searches, so that no early request pays for it."""
        num_pins = len(self._vectors)
        for start in range(0, num_pins, 1 << 16):
            self._vectors[start : start + (1 << 16)].sum()
        for row in np.linspace(0, num_pins - 1, num_searches, dtype=np.int64):
            self.search(Query(self._vectors[row].tobytes(), k=100))

    def _check(self, query: Query) -> _Search:
        if query.k < 1:
            raise ValueError(f"k={query.k} must be at least 1")
        dimension = self.details.dimension
        num_vectors, rest = divmod(len(query.vectors), 4 * dimension)
        if rest or not num_vectors:
            raise ValueError(
                f"vectors holds {len(query.vectors)} bytes; one or more float32 vectors of "
                f"{dimension} dimensions are {4 * dimension} bytes each"
            )
        vectors = np.frombuffer(query.vectors, "<f4").reshape(num_vectors, dimension)
        if not np.isfinite(vectors).all():
            raise ValueError("vectors holds values that are not finite")
        codes = self._postings.codes(query.interests)
        return _Search(vectors, codes, query.k, frozenset(query.exclude))

    def _answer(
        self,
        subset: Subset,
        searches: dict[int, _Search],
        on_strategy: Callable[[Strategy], None],
    ) -> dict[int, Hits]:
        exact = Strategy.ALL if subset.is_whole else Strategy.POSTINGS
        if self._approximate is None or subset.num_rows <= self.details.scan_up_to:
            for _ in searches:
                on_strategy(exact)
            return self._scan(subset, searches)
        hits = self._approximately(self._approximate, subset, searches)
        short = _short(searches, hits)
        for place in searches:
            on_strategy(Strategy.FALLBACK if place in short else Strategy.ANN)
        return hits | (self._scan(subset, short) if short else {})

    def _approximately(
        self, approximate: ApproximateIndex, subset: Subset, searches: dict[int, _Search]
    ) -> dict[int, Hits]:
        num_wanted = max(search.k for search in searches.values())
        candidates = approximate.search(
            _stack(searches),
            num_wanted,
            self._depth(searches) - num_wanted,
            None if subset.is_whole else subset.bitmap,
        )
        hits: dict[int, Hits] = {}
        for place, own in _unstack(candidates, searches):
            if all(len(rows) for rows, _ in own):
                hits[place] = self._merge(own, searches[place])
        return hits

    def _scan(self, subset: Subset, searches: dict[int, _Search]) -> dict[int, Hits]:
        hits: dict[int, Hits] = {}
        depth = self._depth(searches)
        while searches:
            rows, scores = top_rows(self._vectors, subset.blocks, _stack(searches), depth)
            candidates = list(zip(rows, scores, strict=True))
            for place, own in _unstack(candidates, searches):
                hits[place] = self._merge(own, searches[place])
            if depth >= subset.num_rows:
                break
            searches = _short(searches, hits)
            depth *= DEEPEN_FACTOR
        return hits

    def _depth(self, searches: dict[int, _Search]) -> int:
        """Candidates a vector needs to be left with k: exactly, where all signatures differ."""
        depth = max(search.k + len(search.exclude) for search in searches.values())
        return depth if self.details.num_signatures == self.details.num_pins else 2 * depth

    def _merge(self, candidates: Sequence[Candidates], search: _Search) -> Hits:
        return round_robin(candidates, self._signatures, self._pin_ids, search.k, search.exclude)

    @classmethod
    def load(cls, folder: Path) -> "SearchEngine":
        """Maps an index folder.

        Raises:
            ValueError: the folder is no finished index of this version.
        """
        manifest = read_manifest(folder, INDEX)
        details = IndexDetails(**{name: manifest.details[name] for name in IndexDetails._fields})
        vectors = load_array(folder, VECTORS)
        approximate = None
        if details.num_probes is not None:
            approximate = ApproximateIndex.load(folder / ANN, vectors, details.num_probes)
        return cls(
            details,
            vectors,
            PinIds.load(folder),
            load_array(folder, SIGNATURES),
            Postings.load(folder, details.num_pins),
            approximate,
        )


def _stack(searches: dict[int, _Search]) -> np.ndarray:
    """The vectors of all searches, float32 [Q, D]."""
    return np.concatenate([search.vectors for search in searches.values()])


def _unstack(found: Sequence[T], searches: dict[int, _Search]) -> Iterator[tuple[int, Sequence[T]]]:
    """Each search's place with what was found for its own vectors, out of `_stack`'s order."""
    start = 0
    for place, search in searches.items():
        stop = start + len(search.vectors)
        yield place, found[start:stop]
        start = stop


def _short(searches: dict[int, _Search], hits: dict[int, Hits]) -> dict[int, _Search]:
    """The searches that have no hits, or fewer than they ask for."""
    return {
        place: search
        for place, search in searches.items()
        if place not in hits or len(hits[place].pin_ids) < search.k
    }

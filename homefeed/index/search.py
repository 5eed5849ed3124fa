"""The search engine: k pins for a user's vectors, exact under every filter."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from homefeed.contracts import read_manifest
from homefeed.index.approximate import ApproximateIndex, Effort
from homefeed.index.candidates import CandidateSearch, Part, Strategy
from homefeed.index.layout import ANN, INDEX, SIGNATURES, VECTORS, load_array
from homefeed.index.merge import Candidates, Excluded, round_robin
from homefeed.index.pin_ids import PinIds
from homefeed.index.plan import Plan
from homefeed.index.postings import Codes, Postings
from homefeed.index.protocol import Hits, Query


class IndexDetails(NamedTuple):
    """What an index's manifest says under `details`, as far as the search needs it.

    Earlier indexes have nothing of their own for filters.
    """

    embedding_space: str
    dimension: int
    num_pins: int
    num_signatures: int
    scan_up_to: int
    recall_k: int
    num_probes: int | None
    num_filtered_probes: int | None = None
    filtered_refine_factor: int | None = None
    filtered_efforts: Mapping[str, Sequence[int]] = MappingProxyType({})
    """By interest, its own probes and factor."""

    def plan(self, postings: Postings) -> Plan | None:
        """How filters are searched; None where there is no approximate index."""
        if self.num_probes is None:
            return None
        filtered = Effort(self.num_filtered_probes or self.num_probes)
        if self.filtered_refine_factor is not None:
            filtered = Effort(filtered.num_probes, self.filtered_refine_factor, self.recall_k)
        own = {
            postings.codes((name,)): Effort(num_probes, factor, self.recall_k)
            for name, (num_probes, factor) in self.filtered_efforts.items()
        }
        return Plan(self.scan_up_to, Effort(self.num_probes), filtered, own)


class _Search(NamedTuple):
    """A checked query; its vectors are in `parts`, by filter."""

    k: int
    excluded: Excluded
    parts: dict[Codes, Part]


OnStrategy = Callable[[int, Strategy], None]
"""Is told the place of a query, and how it was answered."""


def _ignore(_: int, __: Strategy) -> None:
    return


class SearchEngine:
    """Searches one index; immutable, and safe to use from several threads.

    Every answer keeps to this: no pin outside the filter of the vector that found it, no excluded
    pin, no two pins with one canonical signature, scores descending within each source, and exactly
    `min(k, signatures that are eligible)` pins, by the union of the filters of all vectors.
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
        self._plan = details.plan(postings)
        self._candidates = CandidateSearch(vectors, approximate)

    @property
    def interests(self) -> tuple[str, ...]:
        """Names of all interests that queries can filter by, sorted."""
        return self._postings.interests

    def search(self, query: Query) -> Hits:
        """Answers one query; see `search_batch`."""
        return self.search_batch((query,))[0]

    def search_batch(
        self, queries: Sequence[Query], on_strategy: OnStrategy = _ignore
    ) -> tuple[Hits, ...]:
        """Answers queries that must all be right; see `answer_batch`.

        Raises:
            ValueError: a query does not fit; names the query and field.
        """
        hits: list[Hits] = []
        for place, answer in enumerate(self.answer_batch(queries, on_strategy)):
            if isinstance(answer, str):
                raise ValueError(f"queries[{place}].{answer}")
            hits.append(answer)
        return tuple(hits)

    def answer_batch(
        self, queries: Sequence[Query], on_strategy: OnStrategy = _ignore
    ) -> tuple[Hits | str, ...]:
        """Answers queries, in order; vectors with the same filter share one pass over the pins.

        Args:
            queries: what to search.
            on_strategy: called for each query that is answered; for one whose vectors have several
                filters, for each of these.

        Returns:
            For each query its hits, or why it was refused: the field that does not fit, and what
            is valid there. A query that is refused costs the others nothing.
        """
        searches: dict[int, _Search] = {}
        answers: dict[int, Hits | str] = {}
        for place, query in enumerate(queries):
            try:
                searches[place] = self._check(query)
            except ValueError as error:
                answers[place] = str(error)
        answers |= self._answer(searches)
        for place, search in searches.items():
            for part in search.parts.values():
                on_strategy(place, part.strategy)
        return tuple(answers[place] for place in range(len(queries)))

    def exact(self) -> "SearchEngine":
        """The same index without the approximate search: what its answers are measured by."""
        return SearchEngine(
            self.details, self._vectors, self._pin_ids, self._signatures, self._postings, None
        )

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
        if len(query.row_interests) not in (0, num_vectors):
            raise ValueError(
                f"row_interests holds {len(query.row_interests)} names for {num_vectors} vectors; "
                "it must hold one for each, '' where a vector has none, or none at all"
            )
        return self._divide(query, vectors)

    def _divide(self, query: Query, vectors: np.ndarray) -> _Search:
        """A query whose vectors [K, D] fit, by the filters of its vectors.

        Raises:
            ValueError: no pin has an interest that is asked for, or the excluded rows are none.
        """
        excluded = Excluded.of(query)
        codes = self._postings.codes(query.interests)
        rows: dict[Codes, list[int]] = {}
        for row, name in enumerate(query.row_interests or [""] * len(vectors)):
            own = self._postings.codes((name,), "row_interests") if name else codes
            rows.setdefault(own, []).append(row)
        depth = self._depth(query.k + excluded.num_pins)
        parts = {
            # To pick rows is to copy them.
            own: Part(at, vectors if len(rows) == 1 else vectors[at], query.k, depth)
            for own, at in rows.items()
        }
        return _Search(query.k, excluded, parts)

    def _depth(self, num_pins: int) -> int:
        """Candidates that hold so many signatures: exactly, where all signatures differ."""
        return num_pins if self.details.num_signatures == self.details.num_pins else 2 * num_pins

    def _answer(self, searches: dict[int, _Search]) -> dict[int, Hits]:
        hits: dict[int, Hits] = {}
        is_first = True
        while searches:
            for codes, parts in _by_filter(searches.values()).items():
                subset = self._postings.subset(codes)
                if is_first:
                    effort = self._plan.effort(codes, subset) if self._plan else None
                    self._candidates.begin(subset, parts, effort)
                else:
                    self._candidates.go_on(subset, parts)
            hits |= {place: self._merge(search) for place, search in searches.items()}
            searches = {
                place: search
                for place, search in searches.items()
                if len(hits[place].pin_ids) < search.k and _may_have_more(search)
            }
            is_first = False
        return hits

    def _merge(self, search: _Search) -> Hits:
        found: dict[int, Candidates] = {}
        for part in search.parts.values():
            found.update(zip(part.rows, part.candidates, strict=True))
        in_order = [found[row] for row in range(len(found))]
        return round_robin(in_order, self._signatures, self._pin_ids, search.k, search.excluded)

    @classmethod
    def load(cls, folder: Path) -> "SearchEngine":
        """Maps an index folder.

        Raises:
            ValueError: the folder is no finished index of this version.
        """
        manifest = read_manifest(folder, INDEX)
        own = {
            name: manifest.details[name]
            for name in IndexDetails._fields
            if name in manifest.details or name not in IndexDetails._field_defaults
        }
        details = IndexDetails(**own)
        vectors = load_array(folder, VECTORS)
        approximate = None
        if details.num_probes is not None:
            approximate = ApproximateIndex.load(folder / ANN, vectors)
        return cls(
            details,
            vectors,
            PinIds.load(folder),
            load_array(folder, SIGNATURES),
            Postings.load(folder, details.num_pins),
            approximate,
        )


def _by_filter(searches: Iterable[_Search]) -> dict[Codes, list[Part]]:
    """Parts of all searches that may have more candidates, by their filter."""
    parts: dict[Codes, list[Part]] = {}
    for search in searches:
        for codes, part in search.parts.items():
            if part.may_have_more:
                parts.setdefault(codes, []).append(part)
    return parts


def _may_have_more(search: _Search) -> bool:
    return any(part.may_have_more for part in search.parts.values())

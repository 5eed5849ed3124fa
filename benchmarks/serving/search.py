"""The search by itself: the engine in this process, the sidecar over its socket, and bare FAISS.

One query at a time, on one thread; all three answer the same queries in turn. What users have seen
is excluded, as in every request. Recall is that of the answers against exact search.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.serving import servers
from benchmarks.serving.figures import make_record, ratio_record
from benchmarks.serving.floor import FaissFloor
from benchmarks.serving.plan import Corpus, Plan
from benchmarks.serving.releases import Releases
from benchmarks.serving.users import interest_sizes, queries_of, sample_users
from homefeed.evaluation.results import Record
from homefeed.index.exact import top_rows
from homefeed.index.layout import SIGNATURES, VECTORS, load_array
from homefeed.index.merge import Excluded, round_robin
from homefeed.index.pin_ids import PinIds
from homefeed.index.postings import Postings
from homefeed.index.protocol import Query, SearchRequest
from homefeed.index.search import SearchEngine
from homefeed.release.bundle import INDEX_FOLDER, read_release_manifest
from serving.torchserve.sidecar_client import SidecarClient

SEARCH = "serving-search"
ENGINE, SIDECAR, FAISS = "engine", "sidecar", "FAISS"
DEADLINE_SECONDS = 30.0
WARM_UP = 20


class Case(NamedTuple):
    """Queries of one kind."""

    title: str
    interest: str | None
    queries: Sequence[Query]


def measure_search(corpus: Corpus, releases: Releases, plan: Plan, work: Path) -> Iterator[Record]:
    """Times the search in both releases of a corpus: of one and of several vectors a user.

    Raises:
        RuntimeError: a sidecar does not start.
    """
    for is_multiple in (False, True):
        release = releases.release(corpus.num_pins, is_multiple)
        users = sample_users(release, plan.num_users)
        with (
            servers.sidecar(release, work / f"search-{release.name}") as socket_path,
            threadpool_limits(1),
        ):
            client = SidecarClient(socket_path, DEADLINE_SECONDS)
            engine = SearchEngine.load(release / INDEX_FOLDER)
            engine.warm_up()
            for case in _cases(release, users, plan, is_multiple):
                yield from _measure(corpus, case, engine, client, release / INDEX_FOLDER, plan)
            client.close()


def _cases(release: Path, users: list[str], plan: Plan, is_multiple: bool) -> Iterator[Case]:
    """Without a filter, and with the smallest and the largest interest."""
    sizes = interest_sizes(release)
    in_order = sorted(sizes, key=lambda name: sizes[name])
    filters = {
        "plain": None,
        "small interest": in_order[0],
        "large interest": in_order[-1],
    }
    for kind, interest in filters.items():
        interests = () if interest is None else (interest,)
        queries = queries_of(release, users, interests)
        num_vectors = max(len(query.vectors) for query in queries)
        # A user of a short history has fewer clusters.
        full = [query for query in queries if len(query.vectors) == num_vectors]
        vectors = "4 vectors" if is_multiple else "1 vector"
        yield Case(f"{kind}, {vectors}", interest, full[: plan.num_searches])


def _measure(
    corpus: Corpus,
    case: Case,
    engine: SearchEngine,
    client: SidecarClient,
    index: Path,
    plan: Plan,
) -> Iterator[Record]:
    space, dimension = engine.details.embedding_space, engine.details.dimension
    version = read_release_manifest(index.parent).version
    postings = Postings.load(index, engine.details.num_pins)
    codes = postings.codes((case.interest,) if case.interest else ())
    subset = postings.subset(codes)
    filters = engine.details.plan(postings)
    floor = FaissFloor(index, subset, filters.effort(codes, subset) if filters else None)
    truth = _Truth(index)

    def ask(query: Query) -> Callable[[], Any]:
        request = SearchRequest(space, (query,), version)
        return lambda: client.search(request)

    def vectors_of(query: Query) -> np.ndarray:
        return np.frombuffer(query.vectors, "<f4").reshape(-1, dimension)

    ways = {
        ENGINE: [lambda query=query: engine.search(query) for query in case.queries],
        SIDECAR: [ask(query) for query in case.queries],
        FAISS: [
            floor.prepare(vectors_of(query), query.k, Excluded.of(query).num_pins)
            for query in case.queries
        ],
    }
    for searches in ways.values():
        for search in searches[:WARM_UP]:
            search()
    times = defaultdict(list)
    title = f"{corpus.title}, {case.title}"
    for _ in tqdm(range(plan.num_repeats), desc=title, unit="repeat"):
        seconds = {way: np.empty(len(case.queries)) for way in ways}
        for place in range(len(case.queries)):
            for way, searches in ways.items():
                seconds[way][place] = _timed(searches[place])
        for way, own in seconds.items():
            times[way].append(1000 * float(np.median(own)))
    for way, values in times.items():
        yield make_record(SEARCH, title, way, "ms", values)
    for way, other in ((SIDECAR, ENGINE), (ENGINE, FAISS)):
        yield ratio_record(SEARCH, title, f"{way} / {other}", times[way], times[other])
    exact = [
        set(truth.merge(query, *top_rows(truth.vectors, subset.blocks, vectors_of(query), depth)))
        for query in case.queries
        for depth in [query.k + Excluded.of(query).num_pins]
    ]
    found = {
        ENGINE: [engine.search(query).pin_ids for query in case.queries],
        FAISS: [
            truth.merge(query, *search())
            for query, search in zip(case.queries, ways[FAISS], strict=True)
        ],
    }
    for way, answers in found.items():
        shares = [
            len(own.intersection(answer)) / len(own)
            for own, answer in zip(exact, answers, strict=True)
            if own
        ]
        yield make_record(SEARCH, title, f"recall of {way}", "", [float(np.mean(shares))])


class _Truth:
    """Candidates of exact search or of FAISS as the answer that they make."""

    def __init__(self, index: Path) -> None:
        self.vectors = load_array(index, VECTORS)
        self._signatures = load_array(index, SIGNATURES)
        self._pin_ids = PinIds.load(index)

    def merge(self, query: Query, rows: np.ndarray, scores: np.ndarray) -> Sequence[str]:
        """Ids of the best pins; FAISS has −1 where it has no more."""
        sources = [
            (own[own >= 0], values[own >= 0]) for own, values in zip(rows, scores, strict=True)
        ]
        hits = round_robin(sources, self._signatures, self._pin_ids, query.k, Excluded.of(query))
        return hits.pin_ids


def _timed(search: Callable[[], object]) -> float:
    start = time.perf_counter()
    search()
    return time.perf_counter() - start

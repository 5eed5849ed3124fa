from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homefeed.index.build import build_index
from homefeed.index.candidates import Strategy
from homefeed.index.config import IndexConfig
from homefeed.index.postings import primary_order
from homefeed.index.protocol import Hits, Query
from homefeed.index.search import SearchEngine
from tests.index.artifacts import write_asking_users, write_corpus, write_embeddings

NAMES = ("art", "bread", "cats", "dance")


class Corpus(NamedTuple):
    """What brute force needs, by place in the corpus."""

    vectors: np.ndarray
    interests: list[list[str]]
    signatures: list[str]


def make_corpus(num_pins: int, dimension: int, seed: int) -> Corpus:
    """Clustered unit vectors; interests from none to all; every fourth pin or so a duplicate."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, dimension))
    vectors = centres[rng.integers(20, size=num_pins)]
    vectors = vectors + 0.5 * rng.standard_normal((num_pins, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = np.array([0.6, 0.25, 0.1, 0.05])
    interests = [
        [str(name) for name in rng.choice(NAMES, rng.integers(5), replace=False, p=weights)]
        for _ in range(num_pins)
    ]
    signatures = [f"s{rng.integers(i + 1) if rng.random() < 0.25 else i}" for i in range(num_pins)]
    return Corpus(vectors.astype(np.float32), interests, signatures)


def build(folder: Path, corpus: Corpus, config: IndexConfig) -> SearchEngine:
    built = write_corpus(folder / "corpus", corpus.interests, corpus.signatures)
    embeddings = write_embeddings(folder / "embeddings", corpus.vectors)
    users = write_asking_users(folder / "users", corpus.vectors[::10])
    build_index(built, [embeddings], config, folder / "index", users)
    return SearchEngine.load(folder / "index")


def vectors_of(corpus: Corpus, query: Query) -> np.ndarray:
    return np.frombuffer(query.vectors, np.float32).reshape(-1, corpus.vectors.shape[1])


def eligible(corpus: Corpus, query: Query) -> list[list[int]]:
    """The pins that each vector may find."""
    order = primary_order(corpus.interests)
    rows = np.frombuffer(query.exclude_rows, "<i4")
    excluded = set(query.exclude) | {f"p{order[row]}" for row in rows if row < len(order)}
    names = query.row_interests or [""] * len(vectors_of(corpus, query))
    wanted = [{name} if name else set(query.interests) for name in names]
    return [
        [
            place
            for place, interests in enumerate(corpus.interests)
            if (not own or own & set(interests)) and f"p{place}" not in excluded
        ]
        for own in wanted
    ]


def brute_force(corpus: Corpus, query: Query) -> list[tuple[str, float, int]]:
    """Round-robin over full sorts, by the letter of the guarantee."""
    queues = []
    for vector, places in zip(vectors_of(corpus, query), eligible(corpus, query), strict=True):
        scored = [(float(corpus.vectors[place] @ vector), place) for place in places]
        queues.append(sorted(scored, key=lambda pair: -pair[0]))
    found: list[tuple[str, float, int]] = []
    taken: set[str] = set()
    while any(queues) and len(found) < query.k:
        for source, queue in enumerate(queues):
            while queue and corpus.signatures[queue[0][1]] in taken:
                queue.pop(0)
            if queue and len(found) < query.k:
                score, place = queue.pop(0)
                taken.add(corpus.signatures[place])
                found.append((f"p{place}", score, source))
    return found


def check_guarantees(corpus: Corpus, query: Query, hits: Hits) -> None:
    by_row = eligible(corpus, query)
    signatures = {corpus.signatures[place] for places in by_row for place in places}
    found = [int(pin_id.removeprefix("p")) for pin_id in hits.pin_ids]
    assert len(found) == min(query.k, len(signatures))
    assert len({corpus.signatures[place] for place in found}) == len(found)
    vectors = vectors_of(corpus, query)
    by_source: dict[int, list[float]] = {}
    for place, score, source in zip(found, hits.scores, hits.sources, strict=True):
        assert place in by_row[source]
        assert score == pytest.approx(float(corpus.vectors[place] @ vectors[source]), abs=1e-5)
        by_source.setdefault(source, []).append(score)
    for scores in by_source.values():
        assert scores == sorted(scores, reverse=True)


def queries(num_pins: int, dimension: int, max_k: int) -> st.SearchStrategy[Query]:
    def make(
        seed: int,
        rows: Sequence[str],
        by_row: bool,
        k: int,
        interests: Sequence[str],
        shares: tuple[float, float],
    ) -> Query:
        rng = np.random.default_rng(seed)
        vectors = rng.standard_normal((len(rows), dimension), np.float32)
        by_id, excluded_rows = (np.flatnonzero(rng.random(num_pins) < share) for share in shares)
        exclude = (*(f"p{place}" for place in by_id), "unknown")
        row_interests = tuple(rows) if by_row else ()
        return Query(
            vectors.tobytes(),
            k,
            tuple(interests),
            exclude,
            row_interests,
            excluded_rows.astype("<i4").tobytes(),
        )

    return st.builds(
        make,
        st.integers(0, 2**32),
        st.lists(st.sampled_from(("", *NAMES)), min_size=1, max_size=5),
        st.booleans(),
        st.integers(1, max_k),
        st.lists(st.sampled_from(NAMES), max_size=3),
        st.tuples(*[st.sampled_from([0.0, 0.1, 0.9, 1.0])] * 2),
    )


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, SearchEngine]:
    corpus = make_corpus(200, 8, seed=1)
    return corpus, build(tmp_path_factory.mktemp("flat"), corpus, IndexConfig())


@pytest.fixture(scope="module")
def ivf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, SearchEngine]:
    """Approximate for every filter but the rarest interest."""
    corpus = make_corpus(3000, 8, seed=2)
    rare = sum("dance" in own for own in corpus.interests)
    config = IndexConfig(kind="ivf", scan_up_to=rare, min_recall=0.8, min_filtered_recall=0.0)
    return corpus, build(tmp_path_factory.mktemp("ivf"), corpus, config)


@settings(deadline=None, max_examples=200)
@given(query=queries(200, 8, max_k=250))
def test_exact_search_equals_brute_force(flat: tuple[Corpus, SearchEngine], query: Query) -> None:
    corpus, engine = flat
    hits = engine.search(query)
    check_guarantees(corpus, query, hits)
    expected = brute_force(corpus, query)
    assert list(hits.sources) == [source for _, _, source in expected]
    assert list(hits.scores) == pytest.approx([score for _, score, _ in expected], abs=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    num_pins=st.integers(1, 30),
    seed=st.integers(0, 1000),
    query=queries(30, 4, max_k=40),
)
def test_any_small_corpus_equals_brute_force(
    tmp_path_factory: pytest.TempPathFactory, num_pins: int, seed: int, query: Query
) -> None:
    corpus = make_corpus(num_pins, 4, seed)
    engine = build(tmp_path_factory.mktemp("small"), corpus, IndexConfig())
    known = tuple(name for name in query.interests if name in engine.interests)
    rows = tuple(name if name in engine.interests else "" for name in query.row_interests)
    query = msgspec.structs.replace(query, interests=known, row_interests=rows)
    expected = brute_force(corpus, query)
    hits = engine.search(query)
    check_guarantees(corpus, query, hits)
    assert list(hits.scores) == pytest.approx([score for _, score, _ in expected], abs=1e-5)


@settings(deadline=None, max_examples=150)
@given(query=queries(3000, 8, max_k=400))
def test_approximate_search_keeps_every_guarantee(
    ivf: tuple[Corpus, SearchEngine], query: Query
) -> None:
    corpus, engine = ivf
    check_guarantees(corpus, query, engine.search(query))


@settings(deadline=None, max_examples=30)
@given(batch=st.lists(queries(3000, 8, max_k=50), max_size=6))
def test_a_batch_answers_as_its_queries_alone(
    flat: tuple[Corpus, SearchEngine], batch: list[Query]
) -> None:
    _, engine = flat
    for query, together in zip(batch, engine.search_batch(batch), strict=True):
        alone = engine.search(query)
        assert together.sources == alone.sources
        assert together.scores == pytest.approx(alone.scores, abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(batch=st.lists(queries(3000, 8, max_k=100), min_size=2, max_size=6))
def test_neighbours_of_an_approximate_batch_keep_every_guarantee(
    ivf: tuple[Corpus, SearchEngine], batch: list[Query]
) -> None:
    corpus, engine = ivf
    for query, hits in zip(batch, engine.search_batch(batch), strict=True):
        check_guarantees(corpus, query, hits)


def test_a_deep_neighbour_does_not_have_a_shallow_query_scanned(
    ivf: tuple[Corpus, SearchEngine],
) -> None:
    vector = np.ones(8, np.float32).tobytes()
    seen: list[tuple[int, Strategy]] = []
    ivf[1].answer_batch(
        [Query(vector, 5, ("art",)), Query(vector, 1000, ("art",))],
        lambda place, strategy: seen.append((place, strategy)),
    )
    assert seen == [(0, Strategy.ANN), (1, Strategy.FALLBACK)]


def strategies_of(engine: SearchEngine, query: Query) -> list[Strategy]:
    seen: list[Strategy] = []
    engine.search_batch([query], lambda _, strategy: seen.append(strategy))
    return seen


def test_the_planner_follows_the_number_of_rows(
    flat: tuple[Corpus, SearchEngine], ivf: tuple[Corpus, SearchEngine]
) -> None:
    vector = np.ones(8, np.float32).tobytes()
    assert strategies_of(flat[1], Query(vector, 5)) == [Strategy.ALL]
    assert strategies_of(flat[1], Query(vector, 5, ("art",))) == [Strategy.POSTINGS]
    assert strategies_of(ivf[1], Query(vector, 5)) == [Strategy.ANN]
    assert strategies_of(ivf[1], Query(vector, 5, ("art",))) == [Strategy.ANN]
    assert strategies_of(ivf[1], Query(vector, 5, ("dance",))) == [Strategy.POSTINGS]
    assert strategies_of(ivf[1], Query(vector, 5, ("dance", "art"))) == [Strategy.ANN]
    assert strategies_of(ivf[1], Query(vector, 3000)) == [Strategy.FALLBACK]


def test_the_query_that_was_answered_is_named(ivf: tuple[Corpus, SearchEngine]) -> None:
    vector = np.ones(8, np.float32).tobytes()
    both = Query(2 * vector, 5, row_interests=("dance", "art"))
    seen: list[tuple[int, Strategy]] = []
    ivf[1].answer_batch(
        [Query(vector, 5), Query(b"", 5), both],
        lambda place, strategy: seen.append((place, strategy)),
    )
    assert seen == [(0, Strategy.ANN), (2, Strategy.POSTINGS), (2, Strategy.ANN)]


@settings(deadline=None, max_examples=50)
@given(query=queries(3000, 8, max_k=400))
def test_an_approximate_index_can_be_searched_exactly(
    ivf: tuple[Corpus, SearchEngine], query: Query
) -> None:
    corpus, engine = ivf
    hits = engine.exact().search(query)
    expected = brute_force(corpus, query)
    assert list(hits.sources) == [source for _, _, source in expected]
    assert list(hits.scores) == pytest.approx([score for _, score, _ in expected], abs=1e-5)


def test_each_filter_of_a_query_is_planned_by_itself(ivf: tuple[Corpus, SearchEngine]) -> None:
    rows = ("", "dance", "art", "dance")
    query = Query(np.ones((4, 8), np.float32).tobytes(), 5, (), (), rows)
    assert strategies_of(ivf[1], query) == [Strategy.ANN, Strategy.POSTINGS, Strategy.ANN]
    # Where the rows with the same filter as the query's own are, they share its pass.
    query = Query(query.vectors, 5, ("dance",), (), rows)
    assert strategies_of(ivf[1], query) == [Strategy.POSTINGS, Strategy.ANN]


def test_rows_take_turns_and_each_keeps_to_its_interest(flat: tuple[Corpus, SearchEngine]) -> None:
    corpus, engine = flat
    vector = np.ones(8, np.float32).tobytes()
    query = Query(3 * vector, 30, ("bread",), ("p1", "p2"), ("cats", "", "dance"))
    hits = engine.search(query)
    assert hits.sources == (0, 1, 2) * 10
    for pin_id, source in zip(hits.pin_ids, hits.sources, strict=True):
        own = corpus.interests[int(pin_id.removeprefix("p"))]
        assert ("cats", "bread", "dance")[source] in own


def test_a_filter_with_few_pins_leaves_the_rest_to_the_others(
    ivf: tuple[Corpus, SearchEngine],
) -> None:
    corpus, engine = ivf
    rare = {place for place, own in enumerate(corpus.interests) if "dance" in own}
    left = [f"p{place}" for place in sorted(rare)[1:]]
    query = Query(bytes(64), 300, (), tuple(left), ("dance", "art"))
    hits = engine.search(query)
    check_guarantees(corpus, query, hits)
    assert hits.sources.count(0) == 1
    # And where all of them are taken, the approximate one is scanned for what is left.
    query = Query(bytes(64), 3000, (), tuple(left), ("dance", "art"))
    assert strategies_of(engine, query) == [Strategy.POSTINGS, Strategy.FALLBACK]
    check_guarantees(corpus, query, engine.search(query))


def test_a_filter_far_from_the_query_is_still_exact(tmp_path: Path) -> None:
    corpus = make_corpus(3000, 8, seed=3)
    side = corpus.vectors[:, 0] > 0
    corpus = corpus._replace(interests=[["art"] if near else ["cats"] for near in side])
    config = IndexConfig(kind="ivf", scan_up_to=0, min_recall=0.8, min_filtered_recall=0.0)
    engine = build(tmp_path, corpus, config)
    query = Query(np.eye(8, dtype=np.float32)[0].tobytes(), 20, ("cats",))
    assert strategies_of(engine, query) == [Strategy.FALLBACK]
    expected = [score for _, score, _ in brute_force(corpus, query)]
    assert list(engine.search(query).scores) == pytest.approx(expected, abs=1e-5)


def test_threads_get_what_one_thread_gets(ivf: tuple[Corpus, SearchEngine]) -> None:
    corpus, engine = ivf
    filters: list[tuple[str, ...]] = [(), ("art",), ("dance",), ("bread", "cats")]
    asked = [
        Query(corpus.vectors[place : place + 2].tobytes(), 20, filters[place % 4])
        for place in range(200)
    ]
    alone = [engine.search(query) for query in asked]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(engine.search, asked)) == alone


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(bytes(32), 0), r"queries\[1\].k=0 must be at least 1"),
        (Query(b"", 5), r"queries\[1\].vectors holds 0 bytes.*32 bytes each"),
        (Query(bytes(33), 5), r"queries\[1\].vectors holds 33 bytes"),
        (
            Query(bytes(32), 5, exclude_rows=b"123456"),
            r"queries\[1\].exclude_rows holds 6 bytes; each row is an int32 of 4",
        ),
        (Query(np.full(8, np.nan, np.float32).tobytes(), 5), "not finite"),
        (
            Query(bytes(32), 5, ("art", "chess")),
            r"queries\[1\].interests: no pin has 'chess'; there are art, bread, cats",
        ),
        (
            Query(bytes(32), 5, row_interests=("chess",)),
            r"queries\[1\].row_interests: no pin has 'chess'; there are art, bread, cats",
        ),
        (
            Query(bytes(32), 5, row_interests=("art", "")),
            r"queries\[1\].row_interests holds 2 names for 1 vectors; it must hold one for each",
        ),
    ],
)
def test_a_query_that_does_not_fit_is_refused(
    flat: tuple[Corpus, SearchEngine], query: Query, message: str
) -> None:
    _, engine = flat
    with pytest.raises(ValueError, match=message):
        engine.search_batch([Query(bytes(32), 5), query])


def test_a_refused_query_costs_its_neighbours_nothing(flat: tuple[Corpus, SearchEngine]) -> None:
    _, engine = flat
    good = Query(bytes(32), 5), Query(bytes(32), 7, ("art",))
    bad = Query(bytes(32), 5, ("chess",)), Query(b"", 5)
    answers = engine.answer_batch([good[0], bad[0], good[1], bad[1]])
    assert answers[::2] == engine.search_batch(good)
    assert answers[1] == "interests: no pin has 'chess'; there are art, bread, cats, dance"
    assert isinstance(answers[3], str) and answers[3].startswith("vectors holds 0 bytes")
    assert engine.answer_batch([]) == ()


def test_a_corpus_without_interests(tmp_path: Path) -> None:
    corpus = Corpus(np.eye(4, dtype=np.float32), [[]] * 4, list("abcd"))
    engine = build(tmp_path, corpus, IndexConfig())
    assert engine.search(Query(corpus.vectors[2].tobytes(), 1)).pin_ids == ("p2",)
    with pytest.raises(ValueError, match="there are none"):
        engine.search(Query(corpus.vectors[2].tobytes(), 1, ("art",)))

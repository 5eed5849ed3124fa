"""The measured recall of an index against brute force."""

from pathlib import Path

import numpy as np
import pytest

from homefeed.evaluation.ann import ExactSearch, measure_ann_recall
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine
from tests.index.artifacts import write_asking_users, write_corpus, write_embeddings

NUM_PINS = 2000
DIMENSION = 16
K = 20


def unit_vectors(seed: int, *shape: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((*shape, DIMENSION), np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def build(folder: Path, config: IndexConfig, signatures: list[str] | None = None) -> Path:
    corpus = write_corpus(folder / "corpus", [[]] * NUM_PINS, signatures)
    embeddings = write_embeddings(folder / "embeddings", unit_vectors(0, NUM_PINS))
    users = write_asking_users(folder / "users", unit_vectors(2, 100))
    build_index(corpus, [embeddings], config, folder / "index", users)
    return folder / "index"


def batches(num_vectors: int = 1) -> list[list[Query]]:
    """Ten queries; each excludes the even ones of its 40 best pins."""
    queries = []
    for user in unit_vectors(1, 10, num_vectors):
        best = np.argsort(-(unit_vectors(0, NUM_PINS) @ user[0]))[:40:2]
        queries.append(Query(user.tobytes(), K, exclude=tuple(f"p{row}" for row in best)))
    return [queries[:6], queries[6:]]


def brute_force(query: Query) -> list[str]:
    scores = unit_vectors(0, NUM_PINS) @ np.frombuffer(query.vectors, np.float32)
    ranked = [f"p{row}" for row in np.argsort(-scores)]
    return [pin for pin in ranked if pin not in query.exclude][:K]


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("flat"), IndexConfig(kind="flat"))


def test_exact_search_is_brute_force(flat: Path) -> None:
    exact = ExactSearch(flat)
    for query in sum(batches(), []):
        assert list(exact.search(query)) == brute_force(query)


def test_a_flat_index_finds_everything(flat: Path) -> None:
    assert measure_ann_recall(flat, batches(), (5, K)) == {"recall@5": 1.0, "recall@20": 1.0}


def test_an_approximate_index_finds_what_it_finds(tmp_path: Path) -> None:
    # Vectors without clusters and a bar that any index meets: recall is far from 1.
    index = build(
        tmp_path, IndexConfig(kind="ivf", scan_up_to=0, min_recall=0.0, min_filtered_recall=0.0)
    )
    engine = SearchEngine.load(index)
    num_found = {5: 0, K: 0}
    for queries in batches():
        for query, hits in zip(queries, engine.search_batch(queries), strict=True):
            for k in num_found:
                num_found[k] += len(set(brute_force(query)[:k]) & set(hits.pin_ids[:k]))
    measured = measure_ann_recall(index, batches(), (5, K))
    assert measured == {f"recall@{k}": found / (10 * k) for k, found in num_found.items()}
    assert 0 < measured["recall@20"] < 0.9


def test_several_vectors_and_near_duplicates_are_merged_as_the_engine_does(tmp_path: Path) -> None:
    signatures = [f"s{row % 150}" for row in range(NUM_PINS)]
    index = build(tmp_path, IndexConfig(kind="flat"), signatures)
    queries = sum(batches(num_vectors=3), [])
    exact = ExactSearch(index)
    for query in queries:
        found = exact.search(query)
        assert len({signatures[int(pin[1:])] for pin in found}) == K
        assert found == SearchEngine.load(index).search(query).pin_ids


def test_where_there_is_nothing_to_find_nothing_is_missed(flat: Path) -> None:
    everything = tuple(f"p{row}" for row in range(NUM_PINS))
    query = Query(unit_vectors(1, 1).tobytes(), K, exclude=everything)
    assert measure_ann_recall(flat, [[query]], (K,)) == {"recall@20": 1.0}

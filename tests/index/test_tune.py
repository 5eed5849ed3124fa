"""How far an index is searched, by its recall without and under filters."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from homefeed.contracts import Manifest, read_manifest, write_manifest
from homefeed.index.build import build_index
from homefeed.index.candidates import Strategy
from homefeed.index.config import IndexConfig
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine
from tests.index.artifacts import write_corpus, write_embeddings

NUM_PINS = 4000
NUM_HARD = 1800
DIMENSION = 32
K = 5
SCAN_UP_TO = 100


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_pins() -> tuple[np.ndarray, list[list[str]]]:
    """Pins of "easy" lie in clusters; those of "hard" have none, which no index finds well."""
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((NUM_PINS, DIMENSION))
    centres = 3 * rng.standard_normal((100, DIMENSION))
    vectors[NUM_HARD:] += centres[rng.integers(100, size=NUM_PINS - NUM_HARD)]
    return unit(vectors), [["hard"]] * NUM_HARD + [["easy"]] * (NUM_PINS - NUM_HARD)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tune")
    vectors, interests = make_pins()
    corpus = write_corpus(folder / "corpus", interests)
    return corpus, write_embeddings(folder / "embeddings", vectors)


def build(artifacts: tuple[Path, Path], output: Path, min_filtered_recall: float) -> Manifest:
    config = IndexConfig(
        kind="ivf",
        recall_k=K,
        scan_up_to=SCAN_UP_TO,
        min_recall=0.0,
        min_filtered_recall=min_filtered_recall,
    )
    corpus, embeddings = artifacts
    return build_index(corpus, [embeddings], config, output)


def strategies(engine: SearchEngine, query: Query) -> set[Strategy]:
    seen: set[Strategy] = set()
    engine.answer_batch([query], lambda _, strategy: seen.add(strategy))
    return seen


def test_filters_are_searched_as_far_as_their_recall_demands(
    artifacts: tuple[Path, Path], tmp_path: Path
) -> None:
    bars = (0.0, 0.5, 0.8)
    details = [build(artifacts, tmp_path / f"{bar}", bar).details for bar in bars]
    probes = [each["num_filtered_probes"] for each in details]
    assert probes == sorted(set(probes))
    assert probes[0] == details[0]["num_probes"]
    for each, bar in zip(details, bars, strict=True):
        assert bar <= each["filtered_recall"] < 0.9
        assert each["num_probes"] == details[0]["num_probes"]
        assert each["scan_up_to"] == SCAN_UP_TO


def test_what_no_search_finds_is_scanned(artifacts: tuple[Path, Path], tmp_path: Path) -> None:
    details = build(artifacts, tmp_path / "index", 0.95).details
    assert details["scan_up_to"] == NUM_HARD
    assert 0.95 <= details["filtered_recall"] < 1
    engine = SearchEngine.load(tmp_path / "index")
    near = make_pins()[0][-1].tobytes()  # of an easy one
    assert strategies(engine, Query(near, K, ("hard",))) == {Strategy.POSTINGS}
    assert strategies(engine, Query(near, K, ("easy",))) == {Strategy.ANN}


@pytest.mark.parametrize("bar", [0.65, 0.8, 0.95])
def test_users_that_the_build_did_not_know_find_as_much(
    artifacts: tuple[Path, Path], tmp_path: Path, bar: float
) -> None:
    build(artifacts, tmp_path / "index", bar)
    engine = SearchEngine.load(tmp_path / "index")
    vectors, interests = make_pins()
    rng = np.random.default_rng(9)
    for name in ("easy", "hard"):
        for own in (True, False, None):
            users = unit(rng.standard_normal((100, DIMENSION)))
            if own is not None:
                near = [place for place, each in enumerate(interests) if (each == [name]) == own]
                users = vectors[rng.choice(near, 100)] + 0.5 * users
            asked = [Query(user.astype(np.float32).tobytes(), K, (name,)) for user in users]
            found = engine.search_batch(asked)
            best = engine.exact().search_batch(asked)
            num_found = sum(
                len(set(one.pin_ids) & set(other.pin_ids))
                for one, other in zip(found, best, strict=True)
            )
            assert num_found / (K * len(asked)) > bar - 0.05, (name, own)


def test_each_interest_is_searched_as_far_as_it_needs(
    artifacts: tuple[Path, Path], tmp_path: Path
) -> None:
    details = build(artifacts, tmp_path / "index", 0.8).details
    efforts = details["filtered_efforts"]
    assert efforts.keys() == {"easy", "hard"}
    assert efforts["easy"] != efforts["hard"]
    # Several interests are searched as far as any of them needs.
    largest = [max(column) for column in zip(*efforts.values(), strict=True)]
    assert largest == [details["num_filtered_probes"], details["filtered_refine_factor"]]


def test_a_large_interest_that_is_scanned_leaves_smaller_ones_to_the_index(tmp_path: Path) -> None:
    vectors, _ = make_pins()
    interests = [["hard"]] * NUM_HARD + [["easy"]] * (NUM_HARD - 100)
    vectors = vectors[: len(interests)]
    corpus = write_corpus(tmp_path / "corpus", interests)
    embeddings = write_embeddings(tmp_path / "embeddings", vectors)
    details = build((corpus, embeddings), tmp_path / "index", 0.95).details
    assert details["scan_up_to"] == NUM_HARD
    engine = SearchEngine.load(tmp_path / "index")
    near = vectors[-1].tobytes()
    assert strategies(engine, Query(near, K, ("easy",))) == {Strategy.ANN}
    assert strategies(engine, Query(near, K, ("hard",))) == {Strategy.POSTINGS}


def test_an_interest_of_all_pins_is_no_filter(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", [["a"]] * NUM_PINS)
    embeddings = write_embeddings(tmp_path / "embeddings", make_pins()[0])
    details = build((corpus, embeddings), tmp_path / "index", 0.99).details
    assert details["num_filtered_probes"] == details["num_probes"]
    assert (details["scan_up_to"], details["filtered_recall"]) == (SCAN_UP_TO, 1.0)


def test_an_index_from_before_searches_filters_as_everything_else(
    artifacts: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    manifest = build(artifacts, folder, 0.0)
    query = Query(make_pins()[0][-1].tobytes(), K, ("easy",))
    expected = SearchEngine.load(folder).search(query)
    details = {name: each for name, each in manifest.details.items() if "filtered" not in name}
    write_manifest(folder, msgspec.structs.replace(manifest, details=details))
    assert "num_filtered_probes" not in read_manifest(folder, "index").details
    assert SearchEngine.load(folder).search(query) == expected


def test_pins_in_a_narrow_cone_are_asked_for_from_within_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((60, DIMENSION))
    around = unit(centres[rng.integers(60, size=NUM_PINS)] + rng.normal(0, 0.3, (NUM_PINS, 32)))
    corpus = write_corpus(tmp_path / "corpus", [[] for _ in around])
    recalls = []
    for name, vectors in (("around", around), ("cone", unit(around + 8 * np.eye(1, DIMENSION)))):
        embeddings = write_embeddings(tmp_path / name, vectors)
        config = IndexConfig(kind="ivf", recall_k=50, min_recall=0.0)
        details = build_index(corpus, [embeddings], config, tmp_path / f"index_{name}").details
        recalls.append(details["recall"])
    # Noise of the vectors' own length would leave three quarters.
    assert recalls == pytest.approx([recalls[0]] * 2, abs=0.03)
    assert min(recalls) > 0.9

"""How far an index is searched, by what users find of it without and under filters."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from homefeed.contracts import Manifest, read_manifest, write_manifest
from homefeed.index.approximate import ApproximateIndex, Effort
from homefeed.index.build import build_index
from homefeed.index.candidates import Strategy
from homefeed.index.config import IndexConfig
from homefeed.index.gate import Gate
from homefeed.index.layout import ANN, VECTORS, load_array
from homefeed.index.postings import Postings
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine
from tests.index.artifacts import write_asking_users, write_corpus, write_embeddings

NUM_PINS = 4000
NUM_HARD = 1800
NUM_USERS = 200
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


def make_users(seed: int) -> dict[str, np.ndarray]:
    """Users [NUM_USERS, DIMENSION] near pins of each interest, and of any direction, by kind."""
    rng = np.random.default_rng(seed)
    vectors, interests = make_pins()
    users = {"": unit(rng.standard_normal((NUM_USERS, DIMENSION)))}
    for name in ("easy", "hard"):
        pins = [place for place, own in enumerate(interests) if name in own]
        noise = unit(rng.standard_normal((NUM_USERS, DIMENSION)))
        users[name] = unit(vectors[rng.choice(pins, NUM_USERS)] + 0.5 * noise)
    return users


class Artifacts(NamedTuple):
    corpus: Path
    embeddings: Path
    users: Path


def write(
    folder: Path,
    vectors: np.ndarray,
    interests: Sequence[Sequence[str]],
    users: np.ndarray | None = None,
) -> Artifacts:
    """Pins, and users: those of `make_users`, who follow what they are near to, or others."""
    own = make_users(0)
    follows = [[name] if name else [] for name in own for _ in range(NUM_USERS)]
    order = np.random.default_rng(0).permutation(len(follows))
    asking = np.concatenate(list(own.values()))[order]
    return Artifacts(
        write_corpus(folder / "corpus", interests),
        write_embeddings(folder / "embeddings", vectors),
        write_asking_users(folder / "users", users)
        if users is not None
        else write_asking_users(folder / "users", asking, [follows[place] for place in order]),
    )


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return write(tmp_path_factory.mktemp("tune"), *make_pins())


def build(artifacts: Artifacts, output: Path, min_filtered_recall: float) -> Manifest:
    config = IndexConfig(
        kind="ivf",
        recall_k=K,
        scan_up_to=SCAN_UP_TO,
        min_recall=0.0,
        min_filtered_recall=min_filtered_recall,
    )
    corpus, embeddings, users = artifacts
    return build_index(corpus, [embeddings], config, output, users)


def strategies(engine: SearchEngine, query: Query) -> set[Strategy]:
    seen: set[Strategy] = set()
    engine.answer_batch([query], lambda _, strategy: seen.add(strategy))
    return seen


def test_filters_are_searched_as_far_as_their_recall_demands(
    artifacts: Artifacts, tmp_path: Path
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


def test_what_no_search_finds_is_scanned(artifacts: Artifacts, tmp_path: Path) -> None:
    details = build(artifacts, tmp_path / "index", 0.95).details
    assert details["scan_up_to"] == NUM_HARD
    assert 0.95 <= details["filtered_recall"] < 1
    engine = SearchEngine.load(tmp_path / "index")
    near = make_pins()[0][-1].tobytes()  # of an easy one
    assert strategies(engine, Query(near, K, ("hard",))) == {Strategy.POSTINGS}
    assert strategies(engine, Query(near, K, ("easy",))) == {Strategy.ANN}


def recall(engine: SearchEngine, users: np.ndarray, interests: tuple[str, ...]) -> float:
    asked = [Query(user.astype(np.float32).tobytes(), K, interests) for user in users]
    found, best = engine.search_batch(asked), engine.exact().search_batch(asked)
    num_found = sum(
        len(set(one.pin_ids) & set(other.pin_ids)) for one, other in zip(found, best, strict=True)
    )
    return num_found / (K * len(asked))


@pytest.mark.parametrize("bar", [0.65, 0.8, 0.95])
def test_users_that_the_build_did_not_know_find_as_much(
    artifacts: Artifacts, tmp_path: Path, bar: float
) -> None:
    build(artifacts, tmp_path / "index", bar)
    engine = SearchEngine.load(tmp_path / "index")
    users = make_users(9)
    for name in ("easy", "hard"):
        others = np.concatenate([own for kind, own in users.items() if kind != name])
        assert recall(engine, users[name], (name,)) > bar - 0.02, name
        assert recall(engine, others, (name,)) > bar - 0.02, name


def test_what_the_gate_takes_for_scanned_is_scanned(artifacts: Artifacts, tmp_path: Path) -> None:
    details = build(artifacts, tmp_path / "index", 0.0).details
    engine = SearchEngine.load(tmp_path / "index")
    vectors = load_array(tmp_path / "index", VECTORS)
    postings = Postings.load(tmp_path / "index", NUM_PINS)
    subset = postings.subset(postings.codes(("hard",)))
    num_probes, factor = details["filtered_efforts"]["hard"]
    effort = Effort(num_probes, factor, K)
    approximate = ApproximateIndex.load(tmp_path / "index" / ANN, vectors)
    seen = set()
    for user in np.concatenate(list(make_users(9).values()))[::5]:
        ((rows, _),) = approximate.search(user[None], [K], [0], effort, subset.bitmap)
        expected = Strategy.ANN if len(rows) else Strategy.FALLBACK
        assert strategies(engine, Query(user.tobytes(), K, ("hard",))) == {expected}
        seen.add(expected)
        measured = Gate(vectors, subset, user[None], K).recall(approximate, effort).mean
        assert measured == pytest.approx(recall(engine, user[None], ("hard",)))
    assert seen == {Strategy.ANN, Strategy.FALLBACK}


def test_each_interest_is_searched_as_far_as_it_needs(artifacts: Artifacts, tmp_path: Path) -> None:
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
    details = build(write(tmp_path, vectors, interests), tmp_path / "index", 0.95).details
    assert details["scan_up_to"] == NUM_HARD
    engine = SearchEngine.load(tmp_path / "index")
    near = vectors[-1].tobytes()
    assert strategies(engine, Query(near, K, ("easy",))) == {Strategy.ANN}
    assert strategies(engine, Query(near, K, ("hard",))) == {Strategy.POSTINGS}


def test_an_interest_of_all_pins_is_no_filter(tmp_path: Path) -> None:
    written = write(tmp_path, make_pins()[0], [["a"]] * NUM_PINS)
    details = build(written, tmp_path / "index", 0.99).details
    assert details["num_filtered_probes"] == details["num_probes"]
    assert (details["scan_up_to"], details["filtered_recall"]) == (SCAN_UP_TO, 1.0)


def test_an_index_from_before_searches_filters_as_everything_else(
    artifacts: Artifacts, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    manifest = build(artifacts, folder, 0.0)
    query = Query(make_pins()[0][-1].tobytes(), K, ("easy",))
    expected = SearchEngine.load(folder).search(query)
    details = {name: each for name, each in manifest.details.items() if "filtered" not in name}
    write_manifest(folder, msgspec.structs.replace(manifest, details=details))
    assert "num_filtered_probes" not in read_manifest(folder, "index").details
    assert SearchEngine.load(folder).search(query) == expected


def test_an_index_is_searched_as_far_as_users_outside_the_pins_cone_need(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = unit(make_pins()[0] + 4 * np.eye(1, DIMENSION))
    interests = [[("a", "b")[pin % 2]] for pin in range(NUM_PINS)]
    outside = unit(rng.standard_normal((2 * NUM_USERS, DIMENSION)) - np.eye(1, DIMENSION))
    near = unit(vectors[:NUM_USERS] + 0.1 * unit(rng.standard_normal((NUM_USERS, DIMENSION))))
    recalls = {}
    for name, users in (("near", near), ("outside", outside[:NUM_USERS])):
        written = write(tmp_path / name, vectors, interests, users)
        build(written, tmp_path / f"index_{name}", 0.8)
        engine = SearchEngine.load(tmp_path / f"index_{name}")
        recalls[name] = [recall(engine, outside[NUM_USERS:], (own,)) for own in ("a", "b")]
    # Queries near pins would take less for enough.
    assert max(recalls["near"]) < 0.75
    assert min(recalls["outside"]) > 0.78


@pytest.mark.parametrize(("bar", "is_scanned"), [(0.5, False), (0.8, False), (0.95, True)])
def test_a_union_of_interests_that_are_scanned_is_measured(
    tmp_path: Path, bar: float, is_scanned: bool
) -> None:
    vectors, _ = make_pins()
    interests = [[("a", "b")[pin % 2]] for pin in range(NUM_HARD)]
    interests += [["easy"]] * (NUM_PINS - NUM_HARD)
    corpus, embeddings, users = write(tmp_path, vectors, interests)
    config = IndexConfig(
        kind="ivf",
        recall_k=K,
        scan_up_to=NUM_HARD // 2,
        min_recall=0.0,
        min_filtered_recall=bar,
    )
    details = build_index(corpus, [embeddings], config, tmp_path / "index", users).details
    assert details["filtered_efforts"].keys() == {"easy"}
    assert (details["scan_up_to"] >= NUM_HARD) == is_scanned
    assert (details["num_unions"] > 0) or is_scanned
    assert details["union_recall"] >= bar
    engine = SearchEngine.load(tmp_path / "index")
    others = np.concatenate(list(make_users(9).values()))
    for names in (("a", "b"), ("a", "easy"), ("b", "easy")):
        assert recall(engine, others, names) > bar - 0.02, names


def test_newcomers_find_enough_too(artifacts: Artifacts, tmp_path: Path) -> None:
    users = make_users(0)
    details = {}
    for name in ("easy", "hard"):
        asking = write_asking_users(tmp_path / name, users["easy"], newcomers=users[name])
        built = build(artifacts._replace(users=asking), tmp_path / f"index_{name}", 0.9)
        details[name] = built.details["filtered_efforts"].get("easy", (NUM_PINS, NUM_PINS))
        assert built.details["num_users"] == NUM_USERS
    assert details["easy"] < details["hard"]


def test_what_an_interest_is_asked_for_with_counts_too(
    artifacts: Artifacts, tmp_path: Path
) -> None:
    users = make_users(0)
    details = {}
    for name, conditioned in (("near", users["easy"]), ("far", users["hard"])):
        asking = write_asking_users(
            tmp_path / name, users["easy"], conditioned={"easy": conditioned}
        )
        built = build(artifacts._replace(users=asking), tmp_path / f"index_{name}", 0.9)
        details[name] = built.details["filtered_efforts"].get("easy", (NUM_PINS, NUM_PINS))
    assert details["near"] < details["far"]

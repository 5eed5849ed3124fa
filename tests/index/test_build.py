from pathlib import Path

import numpy as np
import pytest

from homefeed.config import from_yaml
from homefeed.contracts import read_manifest
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.index.layout import VECTORS, load_array
from homefeed.index.pin_ids import PinIds
from homefeed.index.protocol import Query
from homefeed.index.search import SearchEngine
from tests.index.artifacts import write_asking_users, write_corpus, write_embeddings

INTERESTS = [["b", "a"], [], ["a"], ["b"], ["a", "b"]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", INTERESTS)


def test_rows_are_sorted_by_primary_interest_then_corpus_order(
    tmp_path: Path, corpus: Path
) -> None:
    vectors = np.eye(5, dtype=np.float32)
    shards = [
        write_embeddings(tmp_path / "odd", vectors[1::2], ["p1", "p3"]),
        write_embeddings(tmp_path / "even", vectors[::2], ["p0", "p2", "p4"]),
    ]
    output = tmp_path / "index"
    manifest = build_index(corpus, shards, IndexConfig(), output)
    assert manifest == read_manifest(output, "index")
    assert manifest.inputs["corpus"] == read_manifest(corpus, "corpus").fingerprint
    pin_ids = PinIds.load(output)
    assert [pin_ids[row] for row in range(len(pin_ids))] == ["p2", "p4", "p0", "p3", "p1"]
    assert np.array_equal(load_array(output, VECTORS), vectors[[2, 4, 0, 3, 1]])


def test_any_text_is_a_pin_id(tmp_path: Path) -> None:
    ids = ["Café (1999)", "a\0", "", "日本", "x" * 2000]
    PinIds.save(tmp_path, ids)
    stored = PinIds.load(tmp_path)
    assert [stored[row] for row in range(len(stored))] == ids


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["p0", "p1", "p2", "p3"], "1 of 5 corpus pins .* p4 has 0"),
        (["p0", "p1", "p2", "p3", "p3"], "p3 has 2|p4 has 0"),
        (["p0", "p1", "p2", "p3", "other"], "embeds pin other, which the corpus does not hold"),
    ],
)
def test_embeddings_must_be_those_of_the_corpus(
    tmp_path: Path, corpus: Path, ids: list[str], message: str
) -> None:
    embeddings = write_embeddings(tmp_path / "embeddings", np.ones((len(ids), 4)), ids)
    with pytest.raises(ValueError, match=message):
        build_index(corpus, [embeddings], IndexConfig(), tmp_path / "index")


@pytest.mark.parametrize(
    ("space", "dimension", "message"),
    [
        ("space-b", 4, "one has embedding_space 'space-a' but .*two has 'space-b'"),
        ("space-a", 6, "one has dimension 4 but .*two has 6"),
    ],
)
def test_shards_of_two_spaces_are_refused(
    tmp_path: Path, corpus: Path, space: str, dimension: int, message: str
) -> None:
    one = write_embeddings(tmp_path / "one", np.ones((2, 4)), ["p0", "p1"])
    two = write_embeddings(
        tmp_path / "two", np.ones((3, dimension)), ["p2", "p3", "p4"], space=space
    )
    with pytest.raises(ValueError, match=message):
        build_index(corpus, [one, two], IndexConfig(), tmp_path / "index")


def test_vectors_must_be_finite(tmp_path: Path, corpus: Path) -> None:
    embeddings = write_embeddings(tmp_path / "embeddings", np.full((5, 4), np.inf))
    with pytest.raises(ValueError, match="not finite"):
        build_index(corpus, [embeddings], IndexConfig(), tmp_path / "index")


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "none", [])
    embeddings = write_embeddings(tmp_path / "embeddings", np.ones((0, 4)))
    with pytest.raises(ValueError, match="no pins"):
        build_index(corpus, [embeddings], IndexConfig(), tmp_path / "index")


def random_artifacts(folder: Path, num_pins: int, dimension: int) -> tuple[Path, Path]:
    """Vectors without any clusters: the hardest case for inverted lists."""
    vectors = np.random.default_rng(3).standard_normal((num_pins, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    corpus = write_corpus(folder / "corpus", [["a"]] * num_pins)
    return corpus, write_embeddings(folder / "embeddings", vectors)


def random_users(folder: Path, dimension: int) -> Path:
    users = np.random.default_rng(4).standard_normal((300, dimension))
    return write_asking_users(folder / "users", users)


def test_the_gate_refuses_an_index_that_finds_too_little(tmp_path: Path) -> None:
    corpus, embeddings = random_artifacts(tmp_path, 4000, 32)
    users = random_users(tmp_path, 32)
    config = IndexConfig(kind="ivf", min_recall=0.99)
    with pytest.raises(ValueError, match=r"recall@100 .* is 0\.\d+ on 4000 pins .*min_recall=0.99"):
        build_index(corpus, [embeddings], config, tmp_path / "index", users)


def test_the_gate_takes_the_fewest_probes_that_pass(tmp_path: Path) -> None:
    corpus, embeddings = random_artifacts(tmp_path, 4000, 32)
    users = random_users(tmp_path, 32)
    details = {}
    for min_recall in (0.1, 0.6):
        config = IndexConfig(kind="ivf", min_recall=min_recall)
        output = tmp_path / f"index-{min_recall}"
        details[min_recall] = build_index(corpus, [embeddings], config, output, users).details
        assert details[min_recall]["recall"] >= min_recall
    assert details[0.1]["num_probes"] < details[0.6]["num_probes"]


def test_auto_follows_the_corpus_size(tmp_path: Path) -> None:
    corpus, embeddings = random_artifacts(tmp_path, 100, 8)
    users = random_users(tmp_path, 8)
    for limit, kind in ((100, "flat"), (99, "ivf")):
        config = IndexConfig(flat_up_to=limit, min_recall=0.0)
        output = tmp_path / kind
        details = build_index(corpus, [embeddings], config, output, users).details
        assert (details["kind"], details["num_users"]) == (kind, 300 if kind == "ivf" else 0)
        hits = SearchEngine.load(output).search(Query(bytes(32), 5))
        assert len(hits.pin_ids) == 5


def test_an_odd_dimension_cannot_be_approximate(tmp_path: Path) -> None:
    corpus, embeddings = random_artifacts(tmp_path, 100, 7)
    users = random_users(tmp_path, 7)
    with pytest.raises(ValueError, match="7 dimensions"):
        build_index(corpus, [embeddings], IndexConfig(kind="ivf"), tmp_path / "index", users)


def test_users_of_another_space_are_refused(tmp_path: Path) -> None:
    corpus, embeddings = random_artifacts(tmp_path, 100, 8)
    users = write_asking_users(tmp_path / "users", np.ones((3, 8)), space="space-b")
    message = "embeddings has embedding_space 'space-a' but .*users has 'space-b': .* and the users"
    with pytest.raises(ValueError, match=message):
        build_index(corpus, [embeddings], IndexConfig(), tmp_path / "index", users)


def test_an_approximate_index_is_not_built_without_users(tmp_path: Path) -> None:
    corpus, embeddings = random_artifacts(tmp_path, 100, 8)
    config = IndexConfig(flat_up_to=99)
    with pytest.raises(ValueError, match="100 pins need an approximate index, .* none are given"):
        build_index(corpus, [embeddings], config, tmp_path / "index")


@pytest.mark.parametrize("name", ["min_recall", "min_filtered_recall"])
def test_a_recall_above_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"index.{name}=1.5 must lie in \[0, 1\]"):
        from_yaml(f"{name}: 1.5", IndexConfig, "recipe")


@pytest.mark.parametrize("name", ["flat_up_to", "scan_up_to"])
def test_a_size_below_zero_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"index.{name}=-1 must be >= 0"):
        from_yaml(f"{name}: -1", IndexConfig, "recipe")

"""The real process over a real Unix socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.index.protocol import Query, SearchRequest, SearchResponse
from homefeed.index.search import SearchEngine
from homefeed.release.build import build_release
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import (
    SPACE,
    write_corpus,
    write_dataset,
    write_embeddings,
    write_exported,
)
from tests.serving.sidecar_process import Sidecar, running

DIMENSION = 16
NUM_PINS = 5000


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((NUM_PINS, DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    interests = [["art"] if pin % 2 else ["cats", "art"][: pin % 3] for pin in range(NUM_PINS)]
    corpus = write_corpus(folder / "corpus", interests)
    embeddings = write_embeddings(folder / "embeddings", vectors)
    build_index(corpus, [embeddings], IndexConfig(), folder / "index")
    dataset = write_dataset(folder / "dataset", [{"user_id": "u"}], [])
    write_user_snapshot(dataset, folder / "users")
    (folder / "model-store").mkdir()
    build_release(
        exported=write_exported(folder / "exported", DIMENSION),
        corpus=corpus,
        index=folder / "index",
        users=folder / "users",
        model_store=folder / "model-store",
        output=folder / "release",
    )
    return folder / "release"


@pytest.fixture(scope="module")
def sidecar(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with running(release, tmp_path_factory.mktemp("socket") / "search.sock") as process:
        yield process


def encode(*queries: Query, space: str = SPACE) -> bytes:
    return msgspec.msgpack.encode(SearchRequest(space, queries))


def vector(seed: int, num_vectors: int = 1) -> bytes:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((num_vectors, DIMENSION), np.float32).tobytes()


def test_answers_are_the_engines(sidecar: Sidecar, release: Path) -> None:
    queries = (
        Query(vector(1), 10),
        Query(vector(2, 3), 50, ("cats",), ("p0", "p6")),
        Query(vector(3), 7, ("art", "cats")),
        Query(vector(4, 3), 30, (), ("p1",), ("", "cats", "art")),
    )
    answer = sidecar.search.post("/search", content=encode(*queries))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/msgpack"
    response = msgspec.msgpack.decode(answer.content, type=SearchResponse)
    assert response.index_version == sidecar.facts["version"]
    assert response.answers == SearchEngine.load(release / "index").search_batch(queries)


def test_a_refused_query_is_told_why_and_the_others_are_answered(
    sidecar: Sidecar, release: Path
) -> None:
    def num_refused() -> float:
        return sidecar.metric("homefeed_sidecar_refused_queries_total")

    before = num_refused()
    good = (Query(vector(1), 10), Query(vector(2, 2), 5, row_interests=("art", "")))
    refused = {
        "k=0 must be at least 1": Query(vector(1), 0),
        "vectors holds 4 bytes": Query(b"1234", 1),
        "interests: no pin has 'chess'; there are art, cats": Query(vector(1), 1, ("chess",)),
        "row_interests: no pin has 'chess'": Query(vector(1), 1, row_interests=("chess",)),
        "row_interests holds 1 names for 2 vectors": Query(vector(1, 2), 1, row_interests=("art",)),
    }
    answer = sidecar.search.post("/search", content=encode(good[0], *refused.values(), good[1]))
    assert answer.status_code == 200
    first, *errors, last = msgspec.msgpack.decode(answer.content, type=SearchResponse).answers
    assert (first, last) == SearchEngine.load(release / "index").search_batch(good)
    for message, error in zip(refused, errors, strict=True):
        assert isinstance(error, str) and error.startswith(message)
    assert num_refused() == before + len(refused)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        (b"", 400, "malformed", "the body is no SearchRequest"),
        (b'{"queries": []}', 400, "malformed", "the body is no SearchRequest"),
        (msgspec.msgpack.encode([SPACE, []]), 400, "malformed", "Expected `object`"),
        (
            msgspec.msgpack.encode(
                {"embedding_space": SPACE, "queries": [{"vectors": b"", "k": 1, "never": b""}]}
            ),
            400,
            "malformed",
            "unknown field `never`",
        ),
        (
            encode(Query(vector(1), 1, exclude_rows=bytes(4))),
            400,
            "malformed",
            "index_version must name it",
        ),
        (
            msgspec.msgpack.encode(
                {"embedding_space": SPACE, "queries": [{"vectors": b"", "k": "1"}]}
            ),
            400,
            "malformed",
            "Expected `int`, got `str` - at `$.queries[0].k`",
        ),
        (
            encode(Query(vector(1), 1), space="space-b"),
            409,
            "other_embedding_space",
            "embedding space 'space-b'; index 20",
        ),
        (b"x" * (33 << 20), 413, "body_too_large", "larger than 33554432 bytes"),
    ],
)
def test_bad_requests_get_a_typed_error(
    sidecar: Sidecar, body: bytes, status: int, code: str, message: str
) -> None:
    answer = sidecar.search.post("/search", content=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert message in error["message"]
    good = sidecar.search.post("/search", content=encode(Query(vector(1), 1)))
    assert good.status_code == 200


def test_other_routes_say_which_there_are(sidecar: Sidecar) -> None:
    assert "there is POST /search" in sidecar.search.get("/metrics").text
    answer = sidecar.search.get("/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert sidecar.operations.post("/search").status_code == 404


def test_probes_say_what_is_served(sidecar: Sidecar) -> None:
    assert sidecar.operations.get("/healthz").status_code == 200
    assert sidecar.operations.get("/readyz").json() == {
        "index_version": sidecar.facts["version"],
        "embedding_space": SPACE,
        "num_pins": NUM_PINS,
    }


def test_metrics_count_what_happened(sidecar: Sidecar) -> None:
    def counts() -> list[float]:
        return [
            sidecar.metric("homefeed_sidecar_requests_total", status="200"),
            sidecar.metric("homefeed_sidecar_requests_total", status="400"),
            sidecar.metric("homefeed_sidecar_queries_total", strategy="all"),
            sidecar.metric("homefeed_sidecar_queries_total", strategy="postings"),
            sidecar.metric("homefeed_sidecar_stage_seconds_count", stage="search"),
            sidecar.metric("homefeed_sidecar_stage_seconds_count", stage="queue"),
        ]

    before = counts()
    body = encode(Query(vector(1), 5), Query(vector(1), 5, ("cats",)), Query(vector(2), 5))
    sidecar.search.post("/search", content=body)
    sidecar.search.post("/search", content=b"")
    changes = [after - earlier for after, earlier in zip(counts(), before, strict=True)]
    assert changes == [1, 1, 2, 1, 1, 1]
    assert sidecar.metric("homefeed_sidecar_index_pins") == NUM_PINS
    version = sidecar.facts["version"]
    assert sidecar.metric("homefeed_sidecar_index_info", version=version) == 1
    # The time that a version begins with is that of the release.
    made = datetime.strptime(version.partition("-")[0] + "+0000", "%Y%m%dT%H%M%SZ%z")
    created_at = sidecar.metric("homefeed_sidecar_index_created_timestamp_seconds")
    assert created_at == made.timestamp()


def test_callers_at_once_get_their_own_answers(sidecar: Sidecar, release: Path) -> None:
    engine = SearchEngine.load(release / "index")

    def ask(seed: int) -> bool:
        query = Query(vector(seed), 20)
        answer = sidecar.search.post("/search", content=encode(query))
        response = msgspec.msgpack.decode(answer.content, type=SearchResponse)
        return response.answers == (engine.search(query),)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(200)))


def heavy_body() -> bytes:
    """A request that keeps the one search thread busy for a good while."""
    return encode(*(Query(vector(seed, 20), NUM_PINS) for seed in range(30)))


def test_overload_is_refused_at_once_and_passes(release: Path, tmp_path: Path) -> None:
    options = ("--max-waiting", "1", "--deadline-seconds", "60")
    with running(release, tmp_path / "s.sock", *options) as sidecar:
        with ThreadPoolExecutor(6) as threads:
            body = heavy_body()
            answers = list(
                threads.map(
                    lambda _: sidecar.search.post("/search", content=body, timeout=60), range(6)
                )
            )
        assert {answer.status_code for answer in answers} == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
        light = encode(Query(vector(1), 1))
        assert sidecar.search.post("/search", content=light).status_code == 200


def test_late_answers_are_refused(release: Path, tmp_path: Path) -> None:
    with running(release, tmp_path / "s.sock", "--deadline-seconds", "0.02") as sidecar:
        answer = sidecar.search.post("/search", content=heavy_body(), timeout=60)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "late"
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(release: Path, tmp_path: Path, number: int) -> None:
    path = tmp_path / "s.sock"
    with running(release, path) as sidecar:
        # A connection that is kept open must not hold it back.
        sidecar.search.post("/search", content=encode(Query(vector(1), 1)))
        sidecar.process.send_signal(number)
        _, rest = sidecar.process.communicate(timeout=30)
        assert sidecar.process.returncode == 0
        assert [json.loads(line)["event"] for line in rest.splitlines()] == ["stopped"]
        assert not path.exists()


def test_a_running_request_is_answered_before_the_end(release: Path, tmp_path: Path) -> None:
    options = ("--deadline-seconds", "60")
    with running(release, tmp_path / "s.sock", *options) as sidecar:
        answers: list[httpx.Response] = []
        body = encode(*(Query(vector(seed, 4), NUM_PINS) for seed in range(20)))

        def ask() -> None:
            answers.append(sidecar.search.post("/search", content=body, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        while sidecar.metric("homefeed_sidecar_pending_requests") == 0:
            assert asking.is_alive()
        sidecar.process.send_signal(signal.SIGTERM)
        asking.join()
        assert answers[0].status_code == 200
        assert sidecar.process.wait(timeout=30) == 0


def test_a_stale_socket_is_replaced(release: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running(release, path) as sidecar:
        body = encode(Query(vector(1), 1))
        assert sidecar.search.post("/search", content=body).status_code == 200


def failure(release: Path, socket_path: Path) -> str:
    command = [sys.executable, "-m", "serving.index_sidecar", "--release", str(release)]
    command += ["--socket", str(socket_path), "--metrics-port", "0"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    line = json.loads(done.stderr)
    assert line["event"] == "cannot serve"
    return line["reason"]


def test_it_refuses_to_start_on_what_is_broken(release: Path, tmp_path: Path) -> None:
    assert "no manifest.json" in failure(tmp_path, tmp_path / "s.sock")
    (tmp_path / "file").write_text("mine")
    assert "is no socket" in failure(release, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert "path too long" in failure(release, tmp_path / ("x" * 200))


def test_the_process_carries_no_training_code(sidecar: Sidecar) -> None:
    maps = Path(f"/proc/{sidecar.process.pid}/maps").read_text()
    loaded = {Path(line.split()[-1]).parts for line in maps.splitlines() if "site-packages" in line}
    packages = {parts[parts.index("site-packages") + 1] for parts in loaded}
    assert not packages & {"torch", "pyarrow", "duckdb", "pandas", "lmdb", "fsspec"}


def test_the_environment_of_the_libraries_is_one_thread(sidecar: Sidecar) -> None:
    threads = len(os.listdir(f"/proc/{sidecar.process.pid}/task"))
    assert threads <= 3  # the event loop, one search thread, and one that a library may keep

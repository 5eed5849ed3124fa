"""The recall that the sidecar measures online, of a real index that misses much."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from homefeed.index.candidates import Strategy
from homefeed.index.config import IndexConfig
from homefeed.index.protocol import Hits, Query, SearchRequest, SearchResponse
from homefeed.index.search import SearchEngine
from serving.index_sidecar.metrics import Metrics
from serving.index_sidecar.recall import LOWEST_PRIORITY, RecallSampler
from serving.index_sidecar.settings import Settings
from tests.index.artifacts import SPACE
from tests.serving.observing import wait_until
from tests.serving.sidecar_process import Sidecar, running
from tests.serving.small_release import (
    DIMENSION,
    INTERESTS,
    NUM_PINS,
    SmallRelease,
    build_small_release,
)

NUM_QUERIES = 60


@pytest.fixture(scope="module")
def approximate(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    """A bar that any index meets: one list of a few is searched."""
    config = IndexConfig(kind="ivf", scan_up_to=0, min_recall=0.0, min_filtered_recall=0.0)
    return build_small_release(tmp_path_factory.mktemp("approximate"), index=config)


@pytest.fixture(scope="module")
def engine(approximate: SmallRelease) -> SearchEngine:
    return SearchEngine.load(approximate.folder / "index")


@pytest.fixture(scope="module")
def sidecar(
    approximate: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    path = tmp_path_factory.mktemp("socket") / "s.sock"
    with running(approximate.folder, path, "--recall-share", "1") as sidecar:
        yield sidecar


def queries() -> list[Query]:
    """Users anywhere, a third of them with a filter, who have seen some pins."""
    rng = np.random.default_rng(5)
    found = []
    for number in range(NUM_QUERIES):
        vector = rng.standard_normal(DIMENSION, np.float32).tobytes()
        exclude = tuple(f"p{row}" for row in rng.choice(NUM_PINS, 5, replace=False))
        # Under a filter the approximate search refuses more pins than one list has to choose from.
        k, interests = (1, INTERESTS[:2]) if number % 3 == 0 else (10, ())
        found.append(Query(vector, k, interests, exclude))
    return found


def ask(sidecar: Sidecar, asked: list[Query]) -> tuple[Hits | str, ...]:
    body = msgspec.msgpack.encode(SearchRequest(SPACE, tuple(asked)))
    answer = sidecar.search.post("/search", content=body)
    assert answer.status_code == 200
    return msgspec.msgpack.decode(answer.content, type=SearchResponse).answers


def brute_force(release: SmallRelease, query: Query) -> list[str]:
    scores = release.vectors @ np.frombuffer(query.vectors, np.float32)
    allowed = [
        pin
        for pin in (f"p{row}" for row in np.argsort(-scores))
        if pin not in query.exclude
        and (not query.interests or release.interests_of(pin) & set(query.interests))
    ]
    return allowed[: query.k]


def test_recall_is_what_brute_force_says(
    sidecar: Sidecar, approximate: SmallRelease, engine: SearchEngine
) -> None:
    asked = queries()
    strategies: dict[int, Strategy] = {}
    engine.answer_batch(asked, strategies.__setitem__)
    recalls = []
    for place, hits in enumerate(ask(sidecar, asked)):
        assert isinstance(hits, Hits)
        best = brute_force(approximate, asked[place])
        if strategies[place] is Strategy.ANN:
            recalls.append(len(set(best) & set(hits.pin_ids)) / len(best))
        else:
            assert set(best) == set(hits.pin_ids)
    assert len(recalls) > 20
    assert any(asked[place].interests for place in strategies if strategies[place] == "ann")
    wait_until(
        lambda: sidecar.metric("homefeed_sidecar_recall_count") == len(recalls),
        "the recall of every query",
    )
    assert sidecar.metric("homefeed_sidecar_recall_sum") == pytest.approx(sum(recalls))
    assert 0 < sum(recalls) < 0.9 * len(recalls)


def test_only_what_measures_gives_way(sidecar: Sidecar) -> None:
    ask(sidecar, queries())
    pid = sidecar.process.pid
    priorities = {
        int(thread): os.getpriority(os.PRIO_PROCESS, int(thread))
        for thread in os.listdir(f"/proc/{pid}/task")
    }
    assert list(priorities.values()).count(LOWEST_PRIORITY) == 1
    assert priorities[pid] == os.getpriority(os.PRIO_PROCESS, 0) < LOWEST_PRIORITY


def test_nothing_is_measured_where_all_is_exact(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    with running(small_release.folder, tmp_path / "s.sock", "--recall-share", "1") as sidecar:
        ask(sidecar, queries())
        assert sidecar.metric("homefeed_sidecar_queries_total", strategy="all") > 0
        assert sidecar.metric("homefeed_sidecar_recall_count") == 0


def test_nothing_is_measured_of_a_share_of_nothing(
    approximate: SmallRelease, tmp_path: Path
) -> None:
    with running(approximate.folder, tmp_path / "s.sock", "--recall-share", "0") as sidecar:
        ask(sidecar, queries())
        assert sidecar.metric("homefeed_sidecar_queries_total", strategy="ann") > 0
        assert sidecar.metric("homefeed_sidecar_recall_count") == 0


def found(engine: SearchEngine) -> list[tuple[Query, Hits]]:
    asked = queries()
    return list(zip(asked, engine.search_batch(asked), strict=True))


def num_measured(metrics: Metrics) -> float:
    count = metrics.registry.get_sample_value("homefeed_sidecar_recall_count")
    assert count is not None
    return count


def test_what_comes_while_it_is_busy_is_dropped(engine: SearchEngine) -> None:
    metrics = Metrics()
    sampler = RecallSampler(1.0, metrics)
    pairs = found(engine)
    sampler.sample(engine, pairs)
    for _ in range(100):
        sampler.sample(engine, pairs)  # the first measures take 19 times as long as these calls
    wait_until(lambda: num_measured(metrics) >= NUM_QUERIES, "the first sample")
    sampler.close()
    assert num_measured(metrics) < 10 * NUM_QUERIES


def test_the_end_does_not_wait_for_what_is_left(engine: SearchEngine) -> None:
    metrics = Metrics()
    sampler = RecallSampler(1.0, metrics)
    sampler.sample(engine, found(engine) * 1000)
    wait_until(lambda: num_measured(metrics) > 0, "the first of many")
    sampler.close()
    assert num_measured(metrics) < 1000 * NUM_QUERIES


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"recall_share={share} must lie in"):
        Settings(recall_share=share)

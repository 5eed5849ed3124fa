"""The benchmark of serving as it is run, on a small log and for moments."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks.serving.plan import Corpus, Plan
from benchmarks.serving.releases import Releases
from benchmarks.serving.rest import LOAD, RATIOS, STAGES, measure_rest
from benchmarks.serving.search import measure_search
from benchmarks.serving.soak import measure_soak
from homefeed.evaluation.results import Record
from tests.benchmarks.serving.conftest import NUM_GROWN

OWN, GROWN = Corpus("own", None), Corpus("grown", NUM_GROWN)
PLAN = Plan(num_repeats=2, seconds=0.3, connections=(4,), num_users=10, num_searches=5)


def by_experiment(records: Iterable[Record]) -> dict[str, dict[tuple[str, str], float]]:
    found: dict[str, dict[tuple[str, str], float]] = {}
    for each in records:
        cells = found.setdefault(each.experiment, {})
        assert (each.configuration, each.metric) not in cells
        cells[each.configuration, each.metric] = each.value
    return found


@pytest.mark.slow
def test_all_servers_answer_under_load(releases: Releases, work: Path) -> None:
    pytest.importorskip("fastapi")
    found = by_experiment(measure_rest(GROWN, releases, PLAN, work))
    cells = found[LOAD]
    names = {name for name, _ in cells}
    assert len(names) == (3 * 2 + 1) * len(PLAN.connections)
    for name in names:
        assert cells[name, "errors"] == 0, name
        assert cells[name, "throughput"] > 0
        assert 0 < cells[name, "p50"] <= cells[name, "p99"]
    stages = found[STAGES]
    for connections in PLAN.connections:
        name = f"grown, filtered, {connections}"
        assert 1 <= stages[name, "batch"] <= connections
        parts = [stages[name, part] for part in ("hydrate", "encode", "tower", "search", "merge")]
        assert sum(parts) <= stages[name, "total"]
        assert stages[name, "sidecar search"] <= stages[name, "search"]
    ratios = {metric for _, metric in found[RATIOS]}
    assert ratios == {
        "p50 / echo",
        "throughput / echo",
        "p50 / FastAPI",
        "throughput / FastAPI",
    }


@pytest.mark.slow
def test_engine_sidecar_and_faiss_find_the_same(releases: Releases, work: Path) -> None:
    for corpus in (OWN, GROWN):
        (cells,) = by_experiment(measure_search(corpus, releases, PLAN, work)).values()
        kinds = ("plain", "small interest", "large interest")
        names = [
            f"{corpus.title}, {kind}, {number}"
            for kind in kinds
            for number in ("1 vector", "4 vectors")
        ]
        assert {name for name, _ in cells} == set(names)
        for name in names:
            assert cells[name, "engine / FAISS"] > 0
            engine, faiss = (cells[name, f"recall of {way}"] for way in ("engine", "FAISS"))
            if corpus is OWN:
                assert (engine, faiss) == (1.0, 1.0)
            elif "plain" in name:
                assert engine == pytest.approx(faiss, abs=0.02) and faiss > 0.5
            else:
                # A filter that leaves FAISS too few to choose from: the engine scans then.
                assert engine == 1.0 > faiss


@pytest.mark.slow
def test_a_soak_says_of_each_minute_how_it_went(releases: Releases, work: Path) -> None:
    (cells,) = by_experiment(
        measure_soak(OWN, releases, PLAN, work, num_minutes=2, seconds_a_minute=0.5)
    ).values()
    for minute in (1, 2):
        assert cells[f"own, minute {minute}", "errors"] == 0
        assert cells[f"own, minute {minute}", "p99"] > 0
        # Java, a worker with torch, and the sidecar.
        for part in ("frontend", "workers", "sidecar"):
            assert cells[f"own, minute {minute}", f"memory of {part}"] > 20
    assert cells["own, last / first minute", "p99"] == pytest.approx(
        cells["own, minute 2", "p99"] / cells["own, minute 1", "p99"]
    )

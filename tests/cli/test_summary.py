"""What is read from a data set and written down of a run."""

import json
import os
import signal
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from homefeed.cli.catalogue import most_common_interest, read_pin_texts
from homefeed.cli.console import console, program
from homefeed.cli.files import write_json
from homefeed.cli.last_run import LastRun, read_last_run, record_run
from homefeed.cli.latency import Latency, measure_latency
from homefeed.cli.people import NUM_RECENT, READABLE_HISTORY, read_crowd
from homefeed.cli.pipeline import metrics_table, stages_table
from homefeed.cli.results import refuse_reuse, write_figures
from homefeed.cli.summary import Summary, summarise
from homefeed.contracts import Window
from homefeed.evaluation.layout import Catalogue, Evaluation, Population
from homefeed.evaluation.results import make_table, read_results
from pipelines.local import LocalRun, StageUsage
from serving.local import LocalServing
from tests.cli.conftest import Served
from tests.cli.homefeed_process import HOMEFEED
from tests.serving.small_release import SmallRelease

METRICS = {
    name: {"recall@10": 0.1 * place, "recall@100": 0.4, "ndcg@10": 0.2, "coverage@10": 0.3}
    for place, name in enumerate(("model", "popularity", "decayed_popularity", "ease"), start=1)
}
LATENCY = Latency(count=200, p50_milliseconds=4.5, p99_milliseconds=9.25)


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        release_version="20260101T000000Z-00000000",
        embedding_space="space",
        dataset="fingerprint",
        split="time",
        window=Window(0, 10),
        serving_time=9,
        seed=0,
        cutoffs=(10, 100),
        population=Population(
            num_users=7,
            num_warm_users=8,
            num_dataset_users=9,
            num_relevant=20,
            num_unreachable=1,
        ),
        catalogue=Catalogue(
            num_dataset_pins=60,
            num_candidates=50,
            num_corpus_pins=50,
            index_kind="flat",
            dimension=8,
        ),
        recommenders=METRICS,
        left_out={},
        differences={},
        by_history_length=(),
        ann_recall={"recall@10": 1.0},
        num_exact_users=7,
    )


@pytest.fixture
def run(tiny_dataset: Path, tmp_path: Path) -> LocalRun:
    return LocalRun(
        release=tmp_path,
        dataset=tiny_dataset,
        towers=tmp_path,
        evaluation=tmp_path,
        stages=(
            StageUsage("import_events", 1.5, 2**28, reused=True),
            StageUsage("train_towers", 62.25, 2**31, reused=False),
        ),
    )


def test_summary_holds_all_figures(run: LocalRun, evaluation: Evaluation, tmp_path: Path) -> None:
    summary = summarise("tiny", run, evaluation, LATENCY, total_seconds=80.04)
    write_json(tmp_path / "summary.json", summary)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    held = json.loads((tmp_path / "summary.json").read_text())
    engagements = pq.read_table(run.dataset / "engagements.parquet")
    assert held["dataset"]["num_engagements"] == len(engagements)
    assert held["dataset"]["num_users"] == len(set(engagements["user_id"].to_pylist()))
    assert sum(held["dataset"]["num_examples"].values()) == len(engagements)
    assert held["dataset"]["windows"]["train"][0].startswith("2023-11-14T")
    assert held["metrics"] == METRICS
    assert held["latency"] == {
        "count": 200, "p50_milliseconds": 4.5, "p99_milliseconds": 9.25
    }  # fmt: skip
    assert held["stages"][1] == {
        "name": "train_towers", "seconds": 62.25, "peak_memory_bytes": 2**31, "reused": False
    }  # fmt: skip
    assert held["stages"][0]["reused"] is True
    assert held["release_version"] == evaluation.release_version
    assert held["total_seconds"] == 80.0
    assert "cores" in held["machine"]
    assert set(held) == set(Summary.__struct_fields__)


def test_figures_become_results_of_two_experiments(
    run: LocalRun, evaluation: Evaluation, tmp_path: Path
) -> None:
    summary = summarise("ml-100k", run, evaluation, LATENCY, total_seconds=80.04)
    write_figures(tmp_path / "small.json", summary, evaluation)
    quality = make_table("small", tmp_path)
    assert "| configuration | recall@10 | recall@100 | ndcg@10 | coverage@10 |" in quality
    assert "| ease (ml-100k, time split, seed 0) | 0.4 | 0.4 | 0.2 | 0.3 |" in quality
    assert f"`homefeed demo --recipe ml-100k --results {tmp_path / 'small.json'}`" in quality
    cost = {record.metric: (record.value, record.unit) for record in read_results(
        tmp_path / "small-cost.json"
    )}  # fmt: skip
    assert cost == {
        "p50 of a request": (4.5, "ms"),
        "p99 of a request": (9.25, "ms"),
        "whole demo": (80.0, "seconds"),
        "memory of the largest stage": (2**31, "bytes"),
    }


def test_results_are_refused_where_a_run_could_be_reused(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    refuse_reuse(results, tmp_path / "absent")
    (tmp_path / "run.json").touch()
    with pytest.raises(ValueError, match=r"reuses nothing, and .* is not empty"):
        refuse_reuse(results, tmp_path)
    with pytest.raises(ValueError, match=r"name ends with \.json"):
        refuse_reuse(tmp_path, tmp_path / "absent")


def test_tables_show_every_recommender_and_stage(run: LocalRun, evaluation: Evaluation) -> None:
    with console.capture() as captured:
        console.print(metrics_table(evaluation))
        console.print(stages_table(run))
    rows = [line.split() for line in captured.get().splitlines()]
    assert ["decayed_popularity", "0.3000", "0.4000", "0.2000", "0.3000"] in rows
    assert ["import_events", "1.5", "256", "MiB", "reused"] in rows
    assert ["train_towers", "62.2", "2,048", "MiB"] in rows


def test_people_have_events_on_both_sides_and_a_history_of_readable_length(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    crowd = read_crowd(tiny_dataset, 3, tmp_path / "people")
    events = pq.read_table(tiny_dataset / "engagements.parquet").to_pylist()
    known: dict[str, list[dict]] = {}
    later: dict[str, set[str]] = {}
    for event in sorted(events, key=lambda each: (each["timestamp"], each["event_id"])):
        if event["split"] == "test":
            later.setdefault(event["user_id"], set()).add(event["pin_id"])
        else:
            known.setdefault(event["user_id"], []).append(event)
    warm = sorted(known.keys() & later.keys())
    assert list(crowd.user_ids) == warm
    nearest = sorted(warm, key=lambda user: (abs(len(known[user]) - READABLE_HISTORY), user))
    assert [person.user_id for person in crowd.shown] == nearest[:3]
    for person in crowd.shown:
        pins = [event["pin_id"] for event in reversed(known[person.user_id])]
        assert list(person.recent) == list(dict.fromkeys(pins))[:NUM_RECENT]
        assert person.later == later[person.user_id]
    assert list(tmp_path.iterdir()) == []


def test_pins_are_known_by_their_titles_and_the_commonest_interest_is_found(
    tiny_dataset: Path,
) -> None:
    texts = read_pin_texts(tiny_dataset, ["pin 4, “4”", "no such pin"])
    assert texts == {"pin 4, “4”": ("Pin number 4", ("art",))}
    pins = pq.read_table(tiny_dataset / "pins.parquet")["interests"].to_pylist()
    counts = {name: sum(name in own for own in pins) for name in ("art", "DIY")}
    found = most_common_interest(tiny_dataset, {"art", "DIY", "no such interest"})
    assert found is not None
    assert counts[found] == max(counts.values())
    assert most_common_interest(tiny_dataset, set()) is None


def test_latency_counts_every_request(served: Served) -> None:
    latency = measure_latency(served.state.url, ["reader", "lurker"])
    assert latency.count == 200
    assert 0 < latency.p50_milliseconds <= latency.p99_milliseconds
    assert msgspec.json.decode(msgspec.json.encode(latency), type=Latency) == latency


def test_latency_of_answers_without_a_search_is_refused(
    cli_release: SmallRelease, tmp_path: Path
) -> None:
    with LocalServing(cli_release.folder, tmp_path) as serving:
        os.kill(serving.state.pids["sidecar"], signal.SIGKILL)
        with pytest.raises(RuntimeError, match="the search did not answer for user 'reader'"):
            measure_latency(serving.state.url, ["reader"])


def test_the_program_is_named_as_it_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = HOMEFEED.parent
    monkeypatch.setattr("sys.argv", [str(HOMEFEED)])
    monkeypatch.chdir(folder.parent)
    assert program() == f"{folder.name}/homefeed"
    monkeypatch.chdir("/")
    assert program() == str(HOMEFEED.relative_to("/"))
    monkeypatch.chdir(Path(__file__).parent)
    assert program() == str(HOMEFEED)


def test_the_last_run_is_read_back_until_its_release_is_gone(tmp_path: Path) -> None:
    assert read_last_run(tmp_path) is None
    release = tmp_path / "release"
    release.mkdir()
    run = LastRun(release=str(release), version="v", dataset="d")
    record_run(tmp_path, run)
    assert read_last_run(tmp_path) == run
    release.rmdir()
    assert read_last_run(tmp_path) is None


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json.*remove it and run again"):
        read_last_run(tmp_path)

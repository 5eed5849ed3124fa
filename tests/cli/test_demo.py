"""`homefeed demo` and `run` as processes, over a small log of a team's own."""

import json
import signal
from pathlib import Path

import pytest

from homefeed.config import to_yaml
from homefeed.evaluation.results import make_table, read_results
from homefeed.events.config import EventsConfig
from homefeed.recipe import Recipe
from homefeed.towers.config import TrainingConfig
from serving.local import read_state
from tests.cli.homefeed_process import run_homefeed, start_homefeed
from tests.data_fixtures import TINY_FEATURES


@pytest.fixture
def recipe(tiny_log: EventsConfig, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    training = TrainingConfig(max_epochs=2, batch_size=256)
    recipe = Recipe(name="tiny", events=tiny_log, features=TINY_FEATURES, training=training)
    path.write_text(to_yaml(recipe))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_pipeline_leaves_nothing(
    number: signal.Signals, recipe: Path, tmp_path: Path
) -> None:
    with start_homefeed("demo", "--recipe", recipe, "--work", tmp_path / "work") as running:
        running.wait_for("kfp.dsl.executor_main")
        _, errors = running.stop(number)
        assert running.process.returncode == 128 + number
        assert errors.endswith("\nhomefeed: stopped, with all that it had started\n")
        assert "Traceback" not in errors
        assert running.descendants() == []


@pytest.mark.slow
def test_the_demo_goes_from_a_log_to_answers_and_figures(recipe: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    results = tmp_path / "results" / "tiny.json"
    arguments = ("--recipe", recipe, "--work", work, "--users", "2", "--results", results)
    with start_homefeed("demo", *arguments) as running:
        printed, errors = running.process.communicate()
        assert running.process.returncode == 0, errors
        assert running.descendants() == []
    assert read_state(work) is None
    summary = json.loads((work / "summary.json").read_text())
    assert list(summary["metrics"]) == ["model", "popularity", "decayed_popularity", "ease"]
    assert {"recall@10", "recall@100", "ndcg@10", "coverage@10"} <= set(summary["metrics"]["ease"])
    assert 0 < summary["latency"]["p50_milliseconds"] <= summary["latency"]["p99_milliseconds"]
    quality = read_results(results)
    assert {record.configuration.split(" ")[0] for record in quality} == set(summary["metrics"])
    assert "tiny, time split, seed 0" in make_table("tiny-cost", results.parent)
    assert all(stage["peak_memory_bytes"] > 0 for stage in summary["stages"])
    assert "<html" in (work / "report.html").read_text("utf-8")
    assert printed.count("User ") == 4  # two users, one of them with a filter, a newcomer
    assert "cold start" in printed
    assert "decayed_popularity" in printed
    assert "p99" in printed
    assert "\x1b" not in printed

    refused = run_homefeed("demo", *arguments)
    assert refused.returncode == 1
    assert f"{work} is not empty" in refused.stderr

    # A second run finds everything as it was, and what is left can be served.
    again = run_homefeed("run", recipe, "--work", work)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("reused") == len(summary["stages"])
    with start_homefeed("serve", "--work", work, "--port", "0") as serving:
        assert serving.read_until("Ctrl-C stops it")
        answer = run_homefeed("query", "001", "--interests", "DIY", "--work", work)
        assert "Pin number" in answer.stdout

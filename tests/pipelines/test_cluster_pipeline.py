"""The pipeline that a cluster runs, with its ends, by kfp.local in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homefeed.events.config import EventsConfig
from homefeed.release.store import ReleaseStore
from tests.http_recorder import Asked, record
from tests.pipelines.tiny_recipe import write_recipe

pytestmark = pytest.mark.slow

RUN = """
import json, sys
from kfp import local
from pipelines.train_and_release import build_pipeline
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])
build_pipeline()(**json.loads(sys.argv[2]))
"""


def run(folder: Path, **parameters: Any) -> tuple[int, Asked]:
    """Runs the pipeline; returns its exit code and what its webhook got."""
    with record(lambda asked: (200, "")) as hook:
        values = json.dumps({"webhook": hook.url, **parameters})
        command = [sys.executable, "-W", "ignore", "-c", RUN, folder / "runs", values]
        finished = subprocess.run(command, capture_output=True, text=True)
    assert len(hook.asked) == 1, finished.stdout[-4000:]
    return finished.returncode, hook.asked[0]


def test_a_run_publishes_its_release_and_reports(tiny_log: EventsConfig, tmp_path: Path) -> None:
    recipe = Path(write_recipe(tmp_path / "tiny.yaml", tiny_log)).read_text()
    store = (tmp_path / "store").as_uri()
    code, report = run(tmp_path, recipe=recipe, store=store, channel="canary", pins_per_shard=30)
    assert code == 0
    assert (report.body["pipeline"], report.body["state"]) == ("train-and-release", "SUCCEEDED")
    (published,) = ReleaseStore(store).versions()
    assert ReleaseStore(store).resolve("canary") == published
    (markdown,) = (tmp_path / "runs").rglob("report-run/report")
    assert markdown.read_text().startswith("# SUCCEEDED\n")


def test_a_run_that_fails_reports_and_publishes_nothing(tmp_path: Path) -> None:
    code, report = run(tmp_path, recipe="name: broken\n", store=(tmp_path / "store").as_uri())
    assert code != 0
    assert report.body["state"] == "FAILED"
    assert [failure["task"] for failure in report.body["failures"]] == ["exit-handler-1"]
    assert not (tmp_path / "store").exists()

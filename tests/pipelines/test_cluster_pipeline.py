"""The pipeline that a cluster runs, with its ends, by kfp.local in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homefeed.config import to_yaml
from homefeed.corpus.config import CorpusConfig
from homefeed.deployment.config import DeploymentConfig, LocalConfig, SmokeTestConfig
from homefeed.deployment.layout import Outcome
from homefeed.deployment.report import read_deployment
from homefeed.events.config import EventsConfig
from homefeed.release.store import ReleaseStore
from serving.local import free_ports, read_state
from tests.http_recorder import Asked, record
from tests.pipelines.tiny_recipe import write_recipe

pytestmark = pytest.mark.slow

RUN = """
import json, sys
from kfp import local
from pipelines.train_and_release import build_pipeline
runner = local.SubprocessRunner(use_venv=False)
local.init(runner, pipeline_root=sys.argv[1], enable_caching=True, cache_root=sys.argv[2])
build_pipeline()(**json.loads(sys.argv[3]))
"""


def run(folder: Path, **parameters: Any) -> tuple[int, Asked]:
    """Runs the pipeline; returns its exit code and what its webhook got."""
    with record(lambda asked: (200, "")) as hook:
        values = json.dumps({"webhook": hook.url, **parameters})
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            RUN,
            folder / "runs",
            folder / "cache",
            values,
        ]
        finished = subprocess.run(command, capture_output=True, text=True)
    assert len(hook.asked) == 1, finished.stdout[-4000:]
    return finished.returncode, hook.asked[0]


def test_a_run_that_fails_reports_and_publishes_nothing(tmp_path: Path) -> None:
    code, report = run(tmp_path, recipe="name: broken\n", store=(tmp_path / "store").as_uri())
    assert code != 0
    assert report.body["state"] == "FAILED"
    assert [failure["task"] for failure in report.body["failures"]] == ["exit-handler-1"]
    assert not (tmp_path / "store").exists()


def test_a_run_deploys_its_release_and_one_that_fails_the_smoke_test_is_taken_back(
    tiny_log: EventsConfig, tmp_path: Path
) -> None:
    store, served = (tmp_path / "store").as_uri(), tmp_path / "served"
    to = LocalConfig(folder=str(served), port=free_ports(1)[0])

    def run_and_deploy(k: int, **sections: Any) -> tuple[int, Asked]:
        recipe = Path(write_recipe(tmp_path / "tiny.yaml", tiny_log, **sections)).read_text()
        deploy = to_yaml(DeploymentConfig(to=to, smoke_test=SmokeTestConfig(k=k)))
        values = {"recipe": recipe, "store": store, "channel": "canary", "deploy": deploy}
        return run(tmp_path, pins_per_shard=30, **values)

    try:
        code, report = run_and_deploy(k=5)
        assert code == 0
        body = report.body
        assert (body["pipeline"], body["state"]) == ("train-and-release", "SUCCEEDED")
        (markdown,) = (tmp_path / "runs").rglob("report-run/report")
        assert markdown.read_text().startswith("# SUCCEEDED\n")
        (version,) = ReleaseStore(store).versions()
        assert ReleaseStore(store).resolve("canary") == version
        first = read_state(served)
        assert first is not None
        assert first.version == version

        # Another corpus is another release; k is more than the API lets anybody ask for.
        code, report = run_and_deploy(k=2000, corpus=CorpusConfig(max_pins=40))
        assert (code != 0, report.body["state"]) == (True, "FAILED")
        _, refused = ReleaseStore(store).versions()
        now = read_state(served)
        assert now is not None
        assert now.version == version
        assert ReleaseStore(store).resolve("canary") == version
        reports = (tmp_path / "runs").rglob("deploy-release/deployment")
        deployments = {each.version: each for each in map(read_deployment, reports)}
        assert deployments[version].outcome == Outcome.DEPLOYED
        assert deployments[refused].outcome == Outcome.ROLLED_BACK
        assert "status 400" in deployments[refused].why
    finally:
        if state := read_state(served):
            os.kill(state.pid, signal.SIGTERM)

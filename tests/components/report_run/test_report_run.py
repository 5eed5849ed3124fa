"""The step that reports a run, called as KFP calls it."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.report_run.component import report_run
from tests.http_recorder import record

SUCCESS = dsl.PipelineTaskFinalStatus("SUCCEEDED", "job", "exit-handler-1", None, None)
FAILURE = dsl.PipelineTaskFinalStatus(
    "FAILED", "job", "exit-handler-1", 1, "embed failed: no *pin*\nleft"
)


def run(folder: Path, status: dsl.PipelineTaskFinalStatus, webhook: str = "") -> str:
    """The Markdown report of a run."""
    component: Any = report_run
    report = dsl.Markdown("report", str(folder / "report.md"))
    component.python_func(
        pipeline="train-and-release",
        last_step="publish-release",
        run_id="0a1b",
        run_name="nightly",
        webhook=webhook,
        report=report,
        status=status,
    )
    return Path(report.path).read_text()


def test_a_run_that_succeeded_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    markdown = run(tmp_path, SUCCESS)
    assert markdown == "# SUCCEEDED\n\ntrain-and-release, run nightly (`0a1b`)\n"
    said = capfd.readouterr().err.splitlines()
    assert said[1] == "train-and-release, run nightly (0a1b): SUCCEEDED"
    assert len(said) == 3  # the stage's own first and last


def test_a_run_that_failed_is_told_with_what_kfp_knows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    markdown = run(tmp_path, FAILURE)
    assert markdown.startswith("# FAILED\n")
    assert "## Failed: exit-handler-1\n\n    embed failed: no *pin*\n    left\n" in markdown
    said = capfd.readouterr().err
    assert "run nightly (0a1b): FAILED; exit-handler-1: embed failed: no *pin* left\n" in said
    assert "the cluster does not say which step failed: " in said


def test_a_webhook_gets_all_of_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with record(lambda asked: (204, "")) as server:
        run(tmp_path, FAILURE, f"{server.url}/hooks/1")
    assert "the webhook 127.0.0.1 answered 204\n" in capfd.readouterr().err
    (asked,) = server.told("POST", "/hooks/1")
    assert asked.body["text"].startswith("train-and-release, run nightly (0a1b): FAILED; ")
    assert (asked.body["pipeline"], asked.body["run_id"]) == ("train-and-release", "0a1b")
    assert asked.body["state"] == "FAILED"
    assert asked.body["failures"] == [
        {"task": "exit-handler-1", "message": "embed failed: no *pin*\nleft"}
    ]
    assert json.dumps(asked.body).isascii()


@pytest.mark.parametrize(
    ("webhook", "said"),
    [
        ("http://127.0.0.1:1/secret", "the webhook 127.0.0.1 was not reached: <urlopen error"),
        ("ftp:/secret", "the webhook without a host was not reached: <urlopen error"),
        ("secret", "the webhook without a host was not reached: ValueError, check its URL"),
        ("http://[::1/secret", "the webhook without a host was not reached: ValueError, check"),
        ("http://a.b/my secret", "the webhook a.b was not reached: InvalidURL, check its URL"),
    ],
)
def test_a_webhook_that_is_not_there_fails_nothing_and_is_not_given_away(
    webhook: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, SUCCESS, webhook).startswith("# SUCCEEDED\n")
    output = capfd.readouterr()
    assert said in output.err
    assert "secret" not in output.err + output.out


def test_a_webhook_that_refuses_fails_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with record(lambda asked: (500, "no")) as server:
        assert run(tmp_path, SUCCESS, server.url).startswith("# SUCCEEDED\n")
    assert "the webhook 127.0.0.1 was not reached: HTTP Error 500" in capfd.readouterr().err

"""Which steps failed, by what a cluster's API says of their pods."""

from typing import Any

import pytest
from kubernetes import client

from components.report_run.failures import Failure, Steps, explain, read_steps
from tests.http_recorder import Asked, record

GROUP = "train-x7f2k.root.exit-handler-1"
LOOP = f"{GROUP}.for-loop-2.iteration-iterations"


def pod(name: str, second: int, node: str, phase: str = "Failed", **status: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "pipelines",
        "creationTimestamp": f"2026-01-01T00:00:0{second}Z",
        "annotations": {"workflows.argoproj.io/node-name": node},
    }
    return {"metadata": metadata, "status": {"phase": phase, **status}}


def ended(reason: str, code: int) -> list[dict[str, Any]]:
    terminated = {"reason": reason, "exitCode": code}
    return [
        {
            "name": "main",
            "state": {"terminated": terminated},
            "image": "",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
        }
    ]


PODS = [
    pod("train-2", 5, f"{GROUP}.train-towers.executor(1)"),
    pod("train-1", 4, f"{GROUP}.train-towers.executor(0)"),
    pod("import-1", 1, f"{GROUP}.import-events.executor(0)"),
    pod("import-2", 3, f"{GROUP}.import-events.executor(1)", "Succeeded"),
    pod("recipe-driver", 0, f"{GROUP}.read-recipe-driver", "Succeeded"),
    pod("recipe", 0, f"{GROUP}.read-recipe.executor", "Succeeded"),
    pod("embed-0", 6, f"{LOOP}(0:0).iteration-item.embed-pins.executor(0)"),
    pod("embed-1", 6, f"{LOOP}(1:1).iteration-item.embed-pins.executor(0)"),
    pod("embed-2", 7, f"{LOOP}(2:2).iteration-item.embed-pins.executor(0)", "Succeeded"),
    pod("index", 8, "index", containerStatuses=ended("OOMKilled", 137)),
    pod("bundle", 9, "bundle", reason="DeadlineExceeded"),
    pod("report", 9, "train-x7f2k.root.report-run.executor", "Running"),
]
LOGS = {
    "train-1": "train_towers failed: an older word\n",
    "train-2": "epoch 1\ntrain_towers failed: the loss is no number\nexit status 1\n",
    "embed-0": "embed_pins failed: no space\n",
    "embed-1": "embed_pins failed: no space\n",
    "index": "adding vectors\n",
}


def answer(asked: Asked) -> tuple[int, Any]:
    *_, kind, name, last = asked.path.split("/")
    if last == "pods":
        return 200, {"kind": "PodList", "apiVersion": "v1", "items": PODS}
    assert (kind, last) == ("pods", "log")
    return (200, LOGS[name]) if name in LOGS else (400, {"message": "waiting to start"})


def test_the_steps_that_failed_say_why_and_a_retried_one_by_its_last_try() -> None:
    with record(answer) as server:
        api = client.CoreV1Api(client.ApiClient(client.Configuration(host=server.url)))
        steps = read_steps(api, "pipelines", "0a1b")
    assert steps == Steps(
        failures=[
            Failure("train_towers", "the loss is no number"),
            Failure("embed_pins", "no space"),
            Failure("index", "OOMKilled, exit code 137"),
            Failure("bundle", "DeadlineExceeded"),
        ],
        succeeded={"import-events", "read-recipe", "embed-pins"},
    )
    listed, *logs = server.asked
    assert listed.path == "/api/v1/namespaces/pipelines/pods"
    assert listed.query == {"labelSelector": "pipeline/runid=0a1b"}
    assert {log.query["container"] for log in logs} == {"main"}


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("train failed: no pin\nof two\n", "no pin\nof two"),
        ("train failed: try 1\nof two\nepoch 1\ntrain failed: try 2\nof two\n", "try 2\nof two"),
        ("train failed: \n- no pin\n", "\n- no pin"),
        *(
            (f"train failed: no pin\nof two\n{added}\n", "no pin\nof two")
            for added in (
                'time="2026-01-01T00:00:00.000Z" level=info msg="sub-process exited"',
                '{"time":"2026-01-01T00:00:00.000Z","msg":"sub-process exited"}',
                "F0101 00:00:00.000000       1 main.go:57] failed to execute component",
                "exit status 1",
                "Error: exit status 1",
            )
        ),
    ],
)
def test_of_a_log_the_last_word_counts_to_its_end(log: str, message: str) -> None:
    assert explain(None, log) == Failure("train", message)


def test_a_cluster_that_may_not_be_asked_is_an_error() -> None:
    with record(lambda asked: (403, {"message": "pods is forbidden"})) as server:
        api = client.CoreV1Api(client.ApiClient(client.Configuration(host=server.url)))
        with pytest.raises(client.ApiException, match="pods is forbidden"):
            read_steps(api, "pipelines", "0a1b")

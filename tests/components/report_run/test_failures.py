"""Which steps failed, by what a cluster's API says of their pods."""

from typing import Any

import pytest
from kubernetes import client

from components.report_run.failures import Failure, failed_steps
from tests.http_recorder import Asked, record


def pod(name: str, second: int, **status: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "pipelines",
        "creationTimestamp": f"2026-01-01T00:00:0{second}Z",
        "annotations": {"workflows.argoproj.io/node-name": f"run.root.{name}"},
    }
    return {"metadata": metadata, "status": {"phase": "Failed", **status}}


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
    pod("train-2", 3),
    pod("train-1", 1),
    pod("embed", 2, containerStatuses=ended("OOMKilled", 137)),
    pod("index", 4, reason="DeadlineExceeded"),
]
LOGS = {
    "train-1": "train_towers failed: an older word\n",
    "train-2": "epoch 1\ntrain_towers failed: the loss is no number\nexit status 1\n",
    "embed": "embedding\n",
}


def answer(asked: Asked) -> tuple[int, Any]:
    *_, kind, name, last = asked.path.split("/")
    if last == "pods":
        return 200, {"kind": "PodList", "apiVersion": "v1", "items": PODS}
    assert (kind, last) == ("pods", "log")
    return (200, LOGS[name]) if name in LOGS else (400, {"message": "waiting to start"})


def test_the_steps_that_failed_say_why() -> None:
    with record(answer) as server:
        api = client.CoreV1Api(client.ApiClient(client.Configuration(host=server.url)))
        failures = failed_steps(api, "pipelines", "0a1b")
    assert failures == [
        Failure("train_towers", "the loss is no number"),
        Failure("run.root.embed", "OOMKilled, exit code 137"),
        Failure("run.root.index", "DeadlineExceeded"),
    ]
    listed, *logs = server.asked
    assert listed.path == "/api/v1/namespaces/pipelines/pods"
    assert listed.query["labelSelector"] == "pipeline/runid=0a1b"
    assert {log.query["container"] for log in logs} == {"main"}


def test_a_cluster_that_may_not_be_asked_is_an_error() -> None:
    with record(lambda asked: (403, {"message": "pods is forbidden"})) as server:
        api = client.CoreV1Api(client.ApiClient(client.Configuration(host=server.url)))
        with pytest.raises(client.ApiException, match="pods is forbidden"):
            failed_steps(api, "pipelines", "0a1b")

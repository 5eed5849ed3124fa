"""The part of Kubernetes' API that a training on several nodes asks for, played by a test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client

from homefeed.training_job.cluster import Cluster
from homefeed.training_job.step_pod import StepPod
from tests.http_recorder import Asked, Recorder, record

STEP = StepPod(name="train-x1", uid="u-1", namespace="runs", run_id="0a1b")
NAME = "towers-0a1b"
JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/runs/trainjobs"
JOB = f"{JOBS}/{NAME}"
PODS = "/api/v1/namespaces/runs/pods"
EVENTS = "/api/v1/namespaces/runs/events"
COMPLETE = {"type": "Complete", "status": "True", "message": "TrainJob is completed"}
FAILED = {"type": "Failed", "status": "True", "message": "jobset failed"}


def pod(node: int, phase: str = "Running", **state: Any) -> dict[str, Any]:
    """A pod of the job; with a `waiting` or `terminated` state of its container."""
    status: dict[str, Any] = {"phase": phase}
    if state:
        common = {"image": "", "imageID": "", "ready": False, "restartCount": 0}
        status["containerStatuses"] = [{"name": "node", "state": state, **common}]
    name = f"{NAME}-node-0-{node}"
    metadata = {"name": name, "namespace": "runs", "uid": f"{name}-{phase}"}
    return {"metadata": metadata, "status": status}


def ended(node: int, second: int) -> dict[str, Any]:
    """A pod of the job whose process failed at that second of a certain minute."""
    times = dict.fromkeys(("startedAt", "finishedAt"), f"2026-01-01T00:00:{second:02}Z")
    return pod(node, "Failed", terminated={"reason": "Error", "exitCode": 1, **times})


def warning(about: str, why: str, message: str) -> dict[str, Any]:
    """An event."""
    return {
        "metadata": {"name": f"{about}.1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "involvedObject": {"name": about},
        "reason": why,
        "message": message,
        "type": "Warning",
    }


@dataclass(frozen=True)
class Look:
    """What is seen of the job and its pods at one time."""

    pods: list[dict[str, Any]] = field(default_factory=list)
    condition: dict[str, Any] | None = None
    gone: bool = False
    refusal: int = 0
    """Status with which the API refuses to show the job."""
    meanwhile: Callable[[], None] = lambda: None


@dataclass
class PlayedCluster:
    """Shows a created job as one look after another; the last one stays."""

    looks: list[Look]
    train: Callable[[Path], None] = lambda folder: None
    """What the pods do, in the job's folder, before they are looked at."""
    creation: tuple[int, Any] = (201, {})
    events: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    """By the name of the pod."""
    earlier: list[Look] = field(default_factory=list)
    """Of a job that an earlier try left, once it is deleted."""
    is_there: bool = False
    num_seen: int = 0

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Answers a request."""
        *_, before, last = asked.path.split("/")
        if asked.path == PODS:
            return 200, {"kind": "PodList", "apiVersion": "v1", "items": self._now().pods}
        if asked.path == EVENTS:
            return 200, {"kind": "EventList", "apiVersion": "v1", "items": self.events}
        if last == "log":
            found = self.logs.get(before)
            return (200, found) if found is not None else (400, {"message": "waiting to start"})
        if asked.method == "POST":
            if self.creation[0] == 201:
                self.is_there = True
                self.num_seen = 0
                self.train(Path(asked.body["spec"]["trainer"]["args"][-1]))
            return self.creation
        if asked.method == "DELETE":
            self.is_there = False
            return 200, {}
        return self._show()

    def _now(self) -> Look:
        if not self.is_there:
            return self.earlier.pop(0) if self.earlier else Look()
        return self.looks[min(self.num_seen, len(self.looks)) - 1]

    def _show(self) -> tuple[int, Any]:
        if self.is_there:
            self.num_seen += 1
            look = self._now()
            look.meanwhile()
            if look.refusal:
                return look.refusal, {"message": "the API refuses"}
            if not look.gone:
                conditions = [look.condition] if look.condition else []
                return 200, {"metadata": {"name": NAME}, "status": {"conditions": conditions}}
        return 404, {"message": f'trainjobs "{NAME}" not found'}


@contextmanager
def playing(played: PlayedCluster) -> Iterator[tuple[Cluster, Recorder]]:
    """A client of the played cluster, and what that was asked."""
    with record(played.answer) as server:
        api = client.ApiClient(client.Configuration(host=server.url))
        yield Cluster(api, STEP.namespace), server

"""Steps that train on nodes, each in a pod as Kubeflow Pipelines makes it, and what they start."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from homefeed.towers.job import Job
from homefeed.training_job.cluster import JOBSET_LABEL
from homefeed.training_job.config import CLAIM, SHARED_FOLDER, NodesConfig
from homefeed.training_job.manifest import job_name
from homefeed.training_job.step_pod import FIELDS
from tests.cluster.pods import STORE, Client, Node, apply, client_on_claim
from tests.cluster.service import Images
from tests.kubectl import get, kubectl, new_namespace, run_kubectl

PIPELINES = Path(__file__).parents[2] / "manifests" / "base" / "pipelines"
SCRIPT = Path(__file__).parent / "launch_training.py"
ATTEMPT_LABEL = "jobset.sigs.k8s.io/restart-attempt"
KINDS = ("trainjobs", "jobsets", "jobs", "pods", "services")
PATIENCE_SECONDS = 240
QUOTA = "small"
RUNTIME = "TrainingRuntime"
ARTIFACTS = "artifacts"
"""Folder of the claim that stands for what KFP brings a step, and takes from it."""
KILL = "set -- $(cat /proc/1/task/1/children); [ $# = 1 ] && kill -9 $1"
T = TypeVar("T")


class Step:
    """A step that was started, by the pod that it runs in."""

    def __init__(self, namespace: str, run_id: str, pod: str) -> None:
        self.namespace, self.run_id, self.pod = namespace, run_id, pod
        self.job = job_name(run_id)
        self._where = ("--namespace", namespace)

    def log(self) -> str:
        """What it has said so far."""
        return run_kubectl("logs", self.pod, *self._where).stdout

    def end(self) -> tuple[int, str]:
        """Waits for its end; returns its exit code and what it said."""
        return self._eventually(self._exit_code), self.log()

    def workers(self, attempt: int = 0) -> list[dict[str, Any]]:
        """The pods that train for it, by node; after so many restarts."""
        selector = f"--selector={JOBSET_LABEL}={self.job},{ATTEMPT_LABEL}={attempt}"
        return sorted(get("pods", *self._where, selector), key=lambda pod: pod["metadata"]["name"])

    def until_worker_says(self, words: str, attempt: int = 0) -> str:
        """Waits for words of the first of its pods; returns the line that they are in."""

        def line() -> str | None:
            code = self._exit_code()
            assert code is None, f"the step ended with {code}:\n{self.log()}"
            for pod in self.workers(attempt)[:1]:
                log = run_kubectl("logs", pod["metadata"]["name"], *self._where).stdout
                return next((each for each in log.splitlines() if words in each), None)
            return None

        return self._eventually(line)

    def tell_to_end(self) -> None:
        """What KFP does to a step whose run is terminated: its pod stays, and owns the job."""
        kubectl("exec", self.pod, *self._where, "--", "sh", "-c", "kill -TERM 1")

    def delete(self, pod: dict[str, Any]) -> None:
        """Deletes a pod as if its node were gone, without time to end."""
        kubectl("delete", "pod", pod["metadata"]["name"], *self._where, "--force",
                "--grace-period=0")  # fmt: skip

    def kill_process(self, pod: dict[str, Any]) -> None:
        """kill -9 of the process that trains in a pod; torchrun, the pod's first, outlives it."""
        kubectl("exec", pod["metadata"]["name"], *self._where, "--", "sh", "-c", KILL)

    def until_gone(self) -> None:
        """Waits until neither the TrainJob nor anything that it made is left."""

        def is_gone() -> bool:
            found = [each for kind in KINDS for each in get(kind, *self._where)]
            return not any(each["metadata"]["name"].startswith(self.job) for each in found)

        self._eventually(is_gone)

    def _exit_code(self) -> int | None:
        """None while it runs, or has not begun."""
        pod = json.loads(kubectl("get", "pod", self.pod, *self._where, "--output=json"))
        for status in pod["status"].get("containerStatuses", []):
            if ended := status["state"].get("terminated"):
                return ended["exitCode"]
        return None

    def _eventually(self, look: Callable[[], T | None]) -> T:
        """What it returns, once that is neither None nor false."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := look()) is None or found is False:
            assert time.monotonic() < deadline, f"{self.log()}\n{self._explain()}"
            time.sleep(0.5)
        return found

    def _explain(self) -> str:
        return kubectl("get", "trainjobs,jobsets,jobs,pods,events", *self._where)


class Place:
    """A namespace in which steps may train on nodes."""

    def __init__(self, namespace: str, image: str, client: Client) -> None:
        self.namespace, self._image, self._client = namespace, image, client

    def bring(self, dataset: Path) -> None:
        """Puts a data set where the steps find it."""
        self._client.run("mkdir", "-p", f"{STORE}/{ARTIFACTS}/dataset")
        self._client.copy(dataset, f"{STORE}/{ARTIFACTS}/dataset")

    def start(self, job: Job, run_id: str = "", **nodes: Any) -> Step:
        """Starts a step that trains on two nodes.

        Args:
            job: what is to be trained.
            run_id: of the run, for another try of a step; by default a new one.
            nodes: fields of `NodesConfig` that are not to be as small as a training may be.
        """
        run_id = run_id or str(uuid.uuid4())
        small: dict[str, Any] = {"num_nodes": 2, "image": self._image, "cpu": "200m",
                                 "memory": "1Gi"}  # fmt: skip
        config = NodesConfig(**(small | nodes))
        artifacts = SHARED_FOLDER / ARTIFACTS
        command = ["python", "-c", SCRIPT.read_text()]
        command += [msgspec.json.encode(each).decode() for each in (job, config)]
        command += [str(artifacts / "dataset"), str(artifacts / run_id)]
        pod = f"step-{uuid.uuid4().hex[:8]}"
        apply(self.namespace, _step_pod(pod, run_id, self._image, command))
        return Step(self.namespace, run_id, pod)

    def read(self, step: Step, name: str) -> str:
        """A file of the towers that a step has put out."""
        return self._client.run("cat", f"{STORE}/{ARTIFACTS}/{step.run_id}/{name}")

    @contextmanager
    def at_most(self, num_pods: int) -> Iterator[None]:
        """Lets no more pods be at once, of which one is there to reach the claim."""
        quota, where = f"quota/{QUOTA}", ("--namespace", self.namespace)
        kubectl("create", "quota", QUOTA, f"--hard=pods={num_pods}", *where)
        try:
            # Until the pods that there are have been counted, it lets none be.
            kubectl("wait", quota, *where, "--for=jsonpath={.status.used.pods}", "--timeout=60s")
            yield
        finally:
            kubectl("delete", quota, *where)

    def forget(self, step: Step) -> None:
        """Removes the folder that a step has kept for another try, which it must have."""
        self._client.run("rm", "-r", f"{STORE}/{step.run_id}")

    def kept(self) -> set[str]:
        """Folders of runs that are on the claim."""
        return set(self._client.run("ls", STORE).split()) - {ARTIFACTS}


@contextmanager
def place(images: Images, node: Node, without: str = "") -> Iterator[Place]:
    """A namespace with what `manifests/` brings there, but for a kind of object."""
    with new_namespace() as namespace:
        for folder in ("runner", "training"):
            # On a cluster of one node this does as well, and every StorageClass offers it.
            rendered = kubectl("kustomize", str(PIPELINES / folder)).replace(
                "ReadWriteMany", "ReadWriteOnce"
            )
            objects = [each for each in yaml.safe_load_all(rendered) if each["kind"] != without]
            for runtime in (each for each in objects if each["kind"] == RUNTIME):
                _share_cores(runtime)
            apply(namespace, *objects)
        client = client_on_claim(namespace, images.named("homefeed-torchserve"), node, CLAIM)
        yield Place(namespace, images.named("homefeed-pipeline"), client)


def _share_cores(runtime: dict[str, Any]) -> None:
    """Lets pods of one node train in a thread each: each would take all cores for its own."""
    (nodes,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = nodes["template"]["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "OMP_NUM_THREADS", "value": "1"})


def _step_pod(name: str, run_id: str, image: str, command: list[str]) -> dict[str, Any]:
    """Rights, variables and volume as `pipelines.tasks` asks for them, and KFP adds to them."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"pipeline/runid": run_id}},
        "spec": {
            "serviceAccountName": "pipeline-runner",
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "command": command,
                    "env": [
                        {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": field}}}
                        for variable, field in FIELDS.items()
                    ],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "training", "mountPath": str(SHARED_FOLDER)}],
                }
            ],
            "volumes": [{"name": "training", "persistentVolumeClaim": {"claimName": CLAIM}}],
        },
    }

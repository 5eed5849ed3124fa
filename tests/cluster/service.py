"""The chart, installed: by helm, as a user would, and looked at through kubectl."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import yaml

from tests.cluster.network import CONNECT, REACHED
from tests.helm.chart import CHART, run_helm
from tests.kubectl import get, kubectl
from tests.tools import kubernetes_tools

NAME = "home"
OBJECTS = f"{NAME}-homefeed-retrieval"
INSTANCE = f"app.kubernetes.io/instance={NAME}"


class Images(NamedTuple):
    """The images under test, on the cluster's nodes."""

    registry: str
    tag: str

    def named(self, name: str) -> str:
        """An image's whole name."""
        return f"{self.registry}/{name}:{self.tag}"

    @property
    def settings(self) -> tuple[str, ...]:
        """Options of helm that take these images."""
        return ("--set", f"image.registry={self.registry},image.tag={self.tag}")


class Service:
    """An installed chart.

    Args:
        values: names the file of `ci/` that it is installed with.
        options: further ones of helm, for whatever it is called.
    """

    def __init__(self, namespace: str, values: str, images: Images, *options: str) -> None:
        self.namespace = namespace
        self.url = f"http://{OBJECTS}.{namespace}"
        self._values = values
        self._options = (*images.settings, *options)

    def helm(self, command: str, *options: str) -> tuple[int, str]:
        """Runs a helm command that takes values; returns its exit code and complaint."""
        file = str(CHART / "ci" / f"{self._values}-values.yaml")
        finished = run_helm(
            *(command, NAME, str(CHART), "--namespace", self.namespace, "--values", file),
            *(*self._options, "--wait", *options),
            on_cluster=True,
        )
        return finished.returncode, finished.stderr

    def upgrade(self, *options: str) -> None:
        """Upgrades it, and waits until every pod is of the upgrade."""
        code, complaint = self.helm("upgrade", "--timeout", "3m", *options)
        assert code == 0, complaint + self.explain()
        self.settle()

    def render(self, *options: str) -> list[dict[str, Any]]:
        """The objects that helm would install with further options."""
        file = str(CHART / "ci" / f"{self._values}-values.yaml")
        command = ("template", NAME, str(CHART), "--namespace", self.namespace, "--values", file)
        rendered = run_helm(*command, *options)
        assert rendered.returncode == 0, rendered.stderr
        return [each for each in yaml.safe_load_all(rendered.stdout) if each]

    def pods(self) -> list[dict[str, Any]]:
        """Its pods, the oldest first."""
        found = get("pods", "--namespace", self.namespace, "--selector", INSTANCE)
        serving = [pod for pod in found if "pod-template-hash" in pod["metadata"]["labels"]]
        return sorted(serving, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def settle(self, timeout_seconds: int = 120) -> None:
        """Waits until every pod that is wanted is ready, and no other is left."""
        kubectl("rollout", "status", f"deployment/{OBJECTS}", "--namespace", self.namespace,
                f"--timeout={timeout_seconds}s")  # fmt: skip
        # One that ends answers for a while, and would be taken for one that runs.
        self.wait_until(
            lambda: all(
                is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in self.pods()
            ),
            timeout_seconds,
        )

    def wait_until(self, condition: Callable[[], Any], timeout_seconds: int = 180) -> float:
        """Waits until something is so; returns the seconds that it took."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() < start + timeout_seconds, self.explain()
            time.sleep(0.2)
        return time.monotonic() - start

    def ready(self) -> list[dict[str, Any]]:
        """Those of its pods that are ready."""
        return [pod for pod in self.pods() if is_ready(pod)]

    def history(self) -> list[dict[str, Any]]:
        """What helm did to it, the last thing last."""
        listed = run_helm("history", NAME, "--namespace", self.namespace, "--output", "json",
                          on_cluster=True)  # fmt: skip
        assert listed.returncode == 0, listed.stderr
        return json.loads(listed.stdout)

    def exec_command(self, pod: dict[str, Any], container: str, *command: str) -> list[str]:
        """The command line that runs a command in a container."""
        where = ("--namespace", self.namespace, "--container", container)
        named = (*where, pod["metadata"]["name"])
        return [str(kubernetes_tools().kubectl), "exec", *named, "--", *command]

    def reaches(self, pod: dict[str, Any], host: str, port: int) -> bool:
        """Whether one of its pods can connect."""
        command = self.exec_command(pod, "torchserve", "python", "-c", CONNECT, host, str(port))
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() == REACHED

    def explain(self) -> str:
        """What the cluster says of its pods, for a test that fails."""
        return kubectl("describe", "pods", "--namespace", self.namespace, "--selector", INSTANCE)


@contextmanager
def installed(namespace: str, values: str, images: Images, *options: str) -> Iterator[Service]:
    """The chart, installed and ready; uninstalled afterwards."""
    service = Service(namespace, values, images, *options)
    try:
        code, complaint = service.helm("install", "--timeout", "3m")
        assert code == 0, complaint + service.explain()
        yield service
    finally:
        gone = run_helm("uninstall", NAME, "--namespace", namespace, "--wait", on_cluster=True)
        assert gone.returncode == 0, gone.stderr


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def restarts(pod: dict[str, Any], container: str) -> int:
    return container_status(pod, container)["restartCount"]


def container_status(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """What Kubernetes says of a container; nothing before a node has taken the pod."""
    status = pod["status"]
    all_of_them = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    return next((each for each in all_of_them if each["name"] == container), {})


def phases(pod: dict[str, Any]) -> dict[str, float]:
    """Seconds, which Kubernetes counts whole, from a pod's creation to the end of each phase."""
    status = pod["status"]
    created = _time(pod["metadata"]["creationTimestamp"])
    at = {each["type"]: _time(each["lastTransitionTime"]) for each in status["conditions"]}
    containers = {
        each["name"]: each["state"]
        for each in status["initContainerStatuses"] + status["containerStatuses"]
    }
    ends = {
        "release fetched": _time(containers["fetch-release"]["terminated"]["finishedAt"]),
        "index loaded": _time(containers["torchserve"]["running"]["startedAt"]),
        "ready": at["Ready"],
    }
    return {name: (end - created).total_seconds() for name, end in ends.items()}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

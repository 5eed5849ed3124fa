"""Renders the chart with helm itself, and finds things in what comes out."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.tools import kubernetes_tools

CHART = Path(__file__).parents[2] / "helm" / "homefeed-retrieval"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NAME = "demo-homefeed-retrieval"
NAMESPACE = "shop"

Object = dict[str, Any]


def run_helm(*arguments: str, on_cluster: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs helm, without any cluster unless it is asked for."""
    environment = {**os.environ} if on_cluster else {**os.environ, "KUBECONFIG": os.devnull}
    command = [str(kubernetes_tools().helm), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def template(values: str, *options: str) -> str:
    """The chart as YAML, with a file of ci/ and further options of helm."""
    finished = run_helm(*_template(values, options))
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def refusal(values: str, *options: str) -> str:
    """Why helm refuses to render the chart."""
    finished = run_helm(*_template(values, options))
    assert finished.returncode != 0
    return finished.stderr


def _template(values: str, options: Sequence[str]) -> list[str]:
    file = str(CHART / "ci" / f"{values}-values.yaml")
    return ["template", "demo", str(CHART), "--namespace", NAMESPACE, "--values", file, *options]


class Rendered:
    """The objects of a rendered chart."""

    def __init__(self, values: str, *options: str) -> None:
        documents = yaml.safe_load_all(template(values, *options))
        self.objects: list[Object] = [each for each in documents if each]

    def one(self, kind: str, name: str = NAME) -> Object:
        """The only object of a kind and name."""
        (found,) = (
            each
            for each in self.objects
            if each["kind"] == kind and each["metadata"]["name"] == name
        )
        return found

    @property
    def pod(self) -> Object:
        """The Deployment's pod spec."""
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def pod_specs(self) -> list[Object]:
        """Of the Deployment, and of the pod of `helm test`."""
        return [self.pod, self.one("Pod", f"{NAME}-test")["spec"]]

    def container(self, name: str) -> Object:
        """A container of the Deployment, the initial ones too."""
        (found,) = (each for each in containers(self.pod) if each["name"] == name)
        return found

    @property
    def settings(self) -> Object:
        """What TorchServe is told by the ConfigMap."""
        return yaml.safe_load(self.one("ConfigMap")["data"]["torchserve.yaml"])


def containers(pod: Mapping[str, Any]) -> Iterator[Object]:
    """All containers of a pod spec."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """A container's variables, without those that Kubernetes fills in."""
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def options(container: Mapping[str, Any]) -> dict[str, str]:
    """A container's arguments of the form --name=value."""
    pairs = (argument.removeprefix("--").split("=", 1) for argument in container["args"])
    return {name: value for name, value in pairs}

"""A pod of the chart as processes of this machine.

Paths and ports of its containers are replaced by free ones; nothing else is.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from serving.local import free_ports
from serving.processes import Child
from tests.helm.chart import NAME, Rendered, containers, environment

START_SECONDS = 120
FOLDERS = ("/release", "/store", "/run/homefeed", "/run/handler-metrics", "/etc/homefeed", "/tmp")


class Pod:
    """The processes of one pod of the chart."""

    def __init__(self, chart: Rendered, root: Path) -> None:
        self.chart = chart
        self._root = root
        for folder in FOLDERS:
            (root / folder[1:]).mkdir(parents=True)
        numbers = [
            port["containerPort"]
            for container in containers(chart.pod)
            for port in container.get("ports", [])
        ]
        numbers.append(int(chart.settings["server"]["management_address"].rpartition(":")[2]))
        *free, grpc, grpc_management = free_ports(len(numbers) + 2)
        self.ports = dict(zip(numbers, free, strict=True))
        settings = yaml.safe_load(self.here(yaml.safe_dump(chart.settings)))
        # gRPC listens on ports of the pod's loopback that the chart does not mention.
        settings["server"] |= {
            "grpc_inference_port": grpc,
            "grpc_management_port": grpc_management,
        }
        (root / "etc" / "homefeed" / "torchserve.yaml").write_text(yaml.safe_dump(settings))

    def here(self, text: str) -> str:
        """What a text of the container means on this machine."""
        for port, free in self.ports.items():
            text = re.sub(rf"(?<=[:=]){port}\b", str(free), text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        paths = "|".join(FOLDERS)
        return re.sub(rf"(?<![\w/])(file://)?({paths})(?=/|$)", rf"\g<1>{self._root}\g<2>", text)

    def command(self, command: list[str]) -> list[str]:
        """A command of a container, for this machine."""
        assert command[0] == "python"
        return [sys.executable, *(self.here(part) for part in command[1:])]

    def variables(self, container: Mapping[str, Any]) -> dict[str, str]:
        """A container's variables, beside what Python needs here."""
        given = {name: self.here(value) for name, value in environment(container).items()}
        return {"PATH": os.environ["PATH"], "TMPDIR": str(self._root / "tmp")} | given

    def run(self, container: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Runs a container that ends by itself."""
        command = self.command([*container["command"], *container.get("args", [])])
        return subprocess.run(
            command, env=self.variables(container), cwd=self._root, capture_output=True, text=True
        )

    def start(self, name: str) -> Child:
        """Starts a container that serves, and waits for its startup probe."""
        container = self.chart.container(name)
        command = self.command([*container["command"], *container["args"]])
        log = self._root / f"{name}.log"
        child = Child(name, command, self.variables(container), log)
        wait_for(lambda: self.probe(name, "startupProbe"), child)
        return child

    def probe(self, name: str, kind: str) -> bool:
        """Whether a probe of a container succeeds."""
        probe = self.chart.container(name)[kind]
        if "exec" in probe:
            command = self.command(probe["exec"]["command"])
            return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        try:
            return self.get(name, probe["httpGet"]["port"], probe["httpGet"]["path"]).is_success
        except httpx.TransportError:
            return False

    def get(self, name: str, port: str, path: str) -> httpx.Response:
        """What a named port of a container answers."""
        (number,) = (
            each["containerPort"]
            for each in self.chart.container(name)["ports"]
            if each["name"] == port
        )
        return httpx.get(f"http://127.0.0.1:{self.ports[number]}{path}", timeout=60)

    def helm_test(self) -> subprocess.CompletedProcess[str]:
        """Runs the pod of `helm test` against this one."""
        (container,) = self.chart.one("Pod", f"{NAME}-test")["spec"]["containers"]
        url = {"name": "HOMEFEED_URLS", "value": f"http://127.0.0.1:{self.ports[8080]}"}
        user = {"name": "HOMEFEED_USER", "value": environment(container)["HOMEFEED_USER"]}
        return self.run({**container, "env": [url, user]})


def wait_for(condition: Callable[[], bool], *children: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        for child in children:
            child.check()
        assert time.monotonic() < deadline, "\n".join(child.tail() for child in children)
        time.sleep(0.1)

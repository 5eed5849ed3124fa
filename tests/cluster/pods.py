"""Pods of the tests' own: one that asks the service, and one that reaches into the node."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.kubectl import kubectl, new_namespace
from tests.tools import kubernetes_tools

CLAIM = "release-store"
STORE = "/store"
NODE_ROOT = "/node"
FIND = """
import json, os, pathlib, signal, sys, time
pods, word = json.loads(sys.argv[1]), sys.argv[2]
found = []
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        cgroup = (process / "cgroup").read_text().replace("_", "-")
        command = (process / "cmdline").read_bytes().decode().split("\\0")
    except (FileNotFoundError, ProcessLookupError):
        continue
    if any(pod in cgroup for pod in pods) and any(part.endswith(word) for part in command):
        found.append(int(process.name))
"""
SIGNAL = """
for process in found:
    os.kill(process, signal.Signals[sys.argv[3]])
print(len(found))
"""
STUTTER = """
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    for name, seconds in (("SIGSTOP", 0.4), ("SIGCONT", 0.03)):
        for process in found:
            os.kill(process, signal.Signals[name])
        time.sleep(seconds)
print(len(found))
"""


class Client:
    """A pod with the serving image's Python, in a namespace with a claim on /store."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def command(self, *command: str) -> list[str]:
        """The command line that runs a command in the pod, standard input passed on."""
        exec_in_pod = ("exec", "--stdin", "--namespace", self.namespace, "client", "--")
        return [str(kubernetes_tools().kubectl), *exec_in_pod, *command]

    def run(self, *command: str, stdin: bytes = b"") -> str:
        """What a command prints in the pod; it must succeed."""
        finished = subprocess.run(self.command(*command), input=stdin, capture_output=True)
        assert finished.returncode == 0, finished.stderr.decode()
        return finished.stdout.decode()

    def ask(self, url: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers to requests, asked one after another."""
        return json.loads(
            self.run(*self.script("ask.py"), url, stdin=json.dumps(requests).encode())
        )

    def script(self, name: str) -> tuple[str, ...]:
        """A script beside this file, as a command of the pod."""
        return ("python", "-c", (Path(__file__).parent / name).read_text())

    def copy(self, folder: Path, to: str = STORE) -> None:
        """Copies what a folder holds into one of the pod."""
        # Not the folder itself, whose mode and times belong to another user.
        names = [path.name for path in folder.iterdir()]
        packed = subprocess.run(
            ["tar", "-C", folder, "-c", *names], capture_output=True, check=True
        )
        self.run("tar", "-C", to, "-x", stdin=packed.stdout)


@contextmanager
def client_pod(namespace: str, image: str, node: "Node") -> Iterator[Client]:
    """A client, with a claim that it may write to."""
    apply(namespace, _claim())
    yield client_on_claim(namespace, image, node, CLAIM)


def client_on_claim(namespace: str, image: str, node: "Node", claim: str) -> Client:
    """A client whose /store is a claim that is there, which any user may write to from then on."""
    apply(namespace, _pod("client", image, claim))
    wait_ready(namespace, "client")
    node.open_to_everyone(namespace, claim)
    return Client(namespace)


class Node:
    """A pod that reaches into the node, for what no user of a cluster may do."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def run(self, *command: str) -> str:
        """What a command prints in the node's process namespace."""
        return kubectl("exec", "--namespace", self._namespace, "node", "--", *command)

    def signal(self, pod: dict[str, Any], word: str, name: str = "SIGKILL") -> None:
        """Sends a signal to the pod's process that has an argument with this end.

        From within a container its first process cannot be killed.
        """
        self._each_found(SIGNAL, [pod], word, name)

    def stutter(self, pods: list[dict[str, Any]], word: str, seconds: int) -> None:
        """Halts such a process of each pod for 0.4 seconds out of 0.43."""
        self._each_found(STUTTER, pods, word, str(seconds))

    def _each_found(
        self, script: str, pods: list[dict[str, Any]], word: str, argument: str
    ) -> None:
        uids = json.dumps([pod["metadata"]["uid"] for pod in pods])
        found = int(self.run("python", "-c", FIND + script, uids, word, argument))
        names = [pod["metadata"]["name"] for pod in pods]
        assert found == len(pods), f"{found} processes of {names} end with {word}"

    def open_to_everyone(self, namespace: str, claim: str) -> None:
        """Lets any user write to a claim's folder, where the storage leaves it to root.

        Folders of the node are the only volumes whose owner Kubernetes does not set.
        """
        found = json.loads(kubectl("get", "pvc", claim, "--namespace", namespace, "-o", "json"))
        volume = json.loads(kubectl("get", "pv", found["spec"]["volumeName"], "-o", "json"))
        for kind in ("hostPath", "local"):
            if kind in volume["spec"]:
                self.run("chmod", "0777", f"{NODE_ROOT}{volume['spec'][kind]['path']}")


@contextmanager
def node_pod(image: str) -> Iterator[Node]:
    """A pod of root's that sees the node's processes and files, in a namespace that lets it."""
    with new_namespace("privileged") as namespace:
        pod = _pod("node", image)
        pod["spec"] |= {
            "hostPID": True,
            "securityContext": {"runAsUser": 0},
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
        }
        pod["spec"]["containers"][0] |= {
            "securityContext": {},
            "volumeMounts": [{"name": "root", "mountPath": NODE_ROOT}],
        }
        apply(namespace, pod)
        wait_ready(namespace, "node")
        yield Node(namespace)


def apply(namespace: str, *objects: dict[str, Any]) -> None:
    kubectl("apply", "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump_all(objects))


def wait_ready(namespace: str, pod: str) -> None:
    kubectl("wait", "--namespace", namespace, "--for=condition=Ready", f"pod/{pod}",
            "--timeout=120s")  # fmt: skip


def _claim() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _pod(name: str, image: str, claim: str = CLAIM) -> dict[str, Any]:
    """As restricted Pod Security wants it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": ["sleep", "infinity"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "store", "mountPath": STORE},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [
                {"name": "store", "persistentVolumeClaim": {"claimName": claim}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }

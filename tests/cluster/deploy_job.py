"""The deploy step as a Job, under the account that the manifests make for it."""

import time
import uuid
from typing import Any

import msgspec
import yaml

from homefeed.config import to_yaml
from homefeed.deployment.config import ClusterConfig, DeploymentConfig, SmokeTestConfig
from homefeed.deployment.layout import Deployment
from tests.cluster.pods import CLAIM, STORE
from tests.cluster.service import NAME, Images
from tests.kubectl import get, kubectl
from tests.manifests.test_deploying_rights import installed_in

ACCOUNT = "homefeed-deployer"
CHANNEL = "production"
MARK = "the report:"
SCRIPT = f"""
printf '%s' "$DEPLOY" > /tmp/deploy.yaml
python -c 'from homefeed.cli import main; main()' deploy /tmp/deploy.yaml --store {STORE} \
  --version "$VERSION" --output /tmp/report
code=$?
echo '{MARK}'
cat /tmp/report/deployment.json
exit $code
"""
MOST_SECONDS = 240


class DeployJob:
    """A Job that runs."""

    def __init__(self, namespace: str, image: str, version: str, config: DeploymentConfig) -> None:
        self.name = f"deploy-{uuid.uuid4().hex[:8]}"
        self._namespace = namespace
        job = _job(self.name, image, version, config)
        kubectl("create", "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump(job))

    def wait_for(self, text: str) -> None:
        """Waits until its log holds a text."""
        deadline = time.monotonic() + MOST_SECONDS
        while text not in (log := self.log()):
            assert time.monotonic() < deadline, log
            time.sleep(0.5)

    def kill(self) -> None:
        """Ends it as if its node were gone, whatever it is at."""
        (pod,) = self._pods()
        kubectl("delete", "pod", pod["metadata"]["name"], "--namespace", self._namespace,
                "--force", "--grace-period=0")  # fmt: skip

    def end(self) -> tuple[bool, Deployment]:
        """Waits for its end: whether it succeeded, and its report."""
        deadline = time.monotonic() + MOST_SECONDS
        while True:
            (job,) = (each for each in self._jobs() if each["metadata"]["name"] == self.name)
            status = job["status"]
            if status.get("succeeded") or status.get("failed"):
                break
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.5)
        _, mark, report = self.log().partition(f"{MARK}\n")
        assert mark, self.log()
        return bool(status.get("succeeded")), msgspec.json.decode(report, type=Deployment)

    def log(self) -> str:
        """What it has said so far; nothing before its container starts."""
        started = [pod for pod in self._pods() if pod["status"].get("phase") != "Pending"]
        if not started:
            return ""
        return kubectl("logs", "--namespace", self._namespace, started[0]["metadata"]["name"])

    def _pods(self) -> list[dict[str, Any]]:
        return get("pods", "--namespace", self._namespace, f"--selector=job-name={self.name}")

    def _jobs(self) -> list[dict[str, Any]]:
        return get("jobs", "--namespace", self._namespace)


class Deployer:
    """Starts Jobs in a namespace that has the account and its rights."""

    def __init__(self, namespace: str, image: str, users: list[str]) -> None:
        installed_in(namespace)
        self._namespace, self._image = namespace, image
        self._users = tuple(users)

    def start(
        self,
        version: str,
        name: str = NAME,
        values: dict[str, Any] | None = None,
        timeout_seconds: int = 150,
        dry_run: bool = False,
    ) -> DeployJob:
        config = DeploymentConfig(
            to=ClusterConfig(
                namespace=self._namespace,
                name=name,
                values=values or {},
                timeout_seconds=timeout_seconds,
            ),
            smoke_test=SmokeTestConfig(users=self._users),
            dry_run=dry_run,
        )
        return DeployJob(self._namespace, self._image, version, config)

    def deploy(self, version: str, **options: Any) -> tuple[bool, Deployment]:
        return self.start(version, **options).end()


def _job(name: str, image: str, version: str, config: DeploymentConfig) -> dict[str, Any]:
    container = {
        "name": "deploy",
        "image": image,
        "command": ["sh", "-c", SCRIPT],
        "env": [
            {"name": "DEPLOY", "value": to_yaml(config)},
            {"name": "VERSION", "value": version},
        ],
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
    pod = {
        "serviceAccountName": ACCOUNT,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "store", "persistentVolumeClaim": {"claimName": CLAIM}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def values_of(path: str, images: Images, **others: Any) -> dict[str, Any]:
    """A file of values, with the images under test."""
    with open(path) as file:
        given: dict[str, Any] = yaml.safe_load(file)
    return {**given, "image": {"registry": images.registry, "tag": images.tag}, **others}

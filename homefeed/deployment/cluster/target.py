"""A release of the chart in a namespace, as a target."""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client

from homefeed.deployment.cluster.access import api_client, kubeconfig
from homefeed.deployment.cluster.helm import PENDING, Helm, Revision
from homefeed.deployment.cluster.lease import Lease, new_holder
from homefeed.deployment.cluster.status import Observed
from homefeed.deployment.config import ClusterConfig
from homefeed.deployment.layout import Status
from homefeed.deployment.target import CheckLock

SEPARATOR = "---"
SECRET = re.compile(r"^kind: [\"']?Secret[\"']?\s*$", re.MULTILINE)
DEPLOYED = "deployed"
WHOLE = (DEPLOYED, "superseded")
"""States of revisions that came up; the pods of the last one stay where a later one does not."""


class ClusterTarget:
    """The chart; made by `open_cluster`."""

    def __init__(self, config: ClusterConfig, api: client.ApiClient, path: Path | None) -> None:
        """Takes what to deploy to, a client of its cluster, and the kubeconfig for helm."""
        self._config, self._api = config, api
        self._helm = Helm(config, path)
        self._observed = Observed(api, config.namespace, config.name)
        self._revision = 0
        """That was there before the upgrade; 0 for none."""

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self._config.name} in namespace {self._config.namespace}"

    @contextmanager
    def locked(self) -> Iterator[CheckLock]:
        """Holds the namespace's Lease."""
        config = self._config
        lease = Lease(self._api, config.namespace, new_holder(), config.lock_seconds)
        with lease.held():
            yield lease.check

    def mend(self) -> str:
        """Goes back to the last whole revision, where a helm died at work."""
        history = self._helm.history()
        if not history or not history[-1].status.startswith(PENDING):
            return ""
        left = f"a helm that died had left revision {history[-1].revision} {history[-1].status}"
        if revision := _last_whole(history):
            self._helm.roll_back(revision)
            return f"{left}: rolled back to revision {revision}"
        self._helm.uninstall()
        return f"{left}: uninstalled"

    def before(self) -> str:
        """`release.version` of the last revision that came up."""
        revision = _last_whole(self._helm.history())
        return self._helm.version(revision) if revision else ""

    def plan(self, version: str) -> str:
        """How the objects would differ; of a revision that failed, all of them."""
        history = self._helm.history()
        is_whole = bool(history) and history[-1].status == DEPLOYED
        there = self._helm.manifest() if is_whole else ""
        wanted = self._helm.planned_manifest(version)
        lines = difflib.unified_diff(
            without_secrets(there).splitlines(),
            without_secrets(wanted).splitlines(),
            "installed",
            f"with release {version}",
            lineterm="",
        )
        return "\n".join(lines)

    def upgrade(self, version: str) -> None:
        """`helm upgrade --install --rollback-on-failure --wait`."""
        self._revision = _last_whole(self._helm.history())
        self._helm.upgrade(version)

    def urls(self, version: str) -> Mapping[str, str]:
        """The pods of the version, each by its own address."""
        return self._observed.urls(version)

    def roll_back(self) -> None:
        """To the revision of before; a first one is uninstalled."""
        if self._revision:
            self._helm.roll_back(self._revision)
        else:
            self._helm.uninstall()

    def status(self) -> Status:
        """Deployment, pods and events."""
        return self._observed.status()


def _last_whole(history: Sequence[Revision]) -> int:
    """The number of the last revision that came up; 0 for none."""
    return max((each.revision for each in history if each.status in WHOLE), default=0)


def without_secrets(manifest: str) -> str:
    """Objects of helm as YAML; of each Secret only a digest, since reports are read by many."""
    documents = manifest.strip().split(f"\n{SEPARATOR}\n")
    return f"\n{SEPARATOR}\n".join(map(_without_secret, documents))


def _without_secret(document: str) -> str:
    if not SECRET.search(document):
        return document
    return f"# a Secret, sha256 {hashlib.sha256(document.encode()).hexdigest()}"


@contextmanager
def open_cluster(config: ClusterConfig) -> Iterator[ClusterTarget]:
    """A target, with who this process is to its cluster.

    Raises:
        ValueError: no cluster is known, or helm or the chart is missing.
    """
    with kubeconfig() as path, api_client(path) as api:
        yield ClusterTarget(config, api, path)

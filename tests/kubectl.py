"""kubectl on the cluster of KUBECONFIG, for tests that are marked `cluster`."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from tests.tools import kubernetes_tools

Test = TypeVar("Test", bound=Callable[..., object])


def needs_cluster(test: Test) -> Test:
    """Marks a test, and skips it where there is no cluster that tests may change."""
    there = bool(os.environ.get("KUBECONFIG") and os.environ.get("HOMEFEED_TEST_CLUSTER"))
    reason = "needs a Kubernetes: KUBECONFIG, and HOMEFEED_TEST_CLUSTER=1 to say it is for tests"
    return pytest.mark.cluster(pytest.mark.skipif(not there, reason=reason)(test))


def run_kubectl(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs kubectl, whatever comes of it."""
    command = [str(kubernetes_tools().kubectl), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True)


def kubectl(*arguments: str, stdin: str = "") -> str:
    """What kubectl prints; it must succeed."""
    finished = run_kubectl(*arguments, stdin=stdin)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def get(*arguments: str) -> list[dict[str, Any]]:
    """Objects that `kubectl get` finds."""
    return json.loads(kubectl("get", *arguments, "--output=json"))["items"]


@contextmanager
def new_namespace(pod_security: str = "restricted") -> Iterator[str]:
    """A namespace of a test's own, deleted after it."""
    name = f"homefeed-test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        level = "pod-security.kubernetes.io"
        kubectl("label", "namespace", name, f"{level}/enforce={pod_security}",
                f"{level}/warn={pod_security}")  # fmt: skip
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")

"""The lock of a deployment, as a Lease of a real API server."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes import config

from homefeed.deployment.cluster.lease import NAME, Lease, new_holder
from tests.kubectl import kubectl, needs_cluster, new_namespace

MOST_SECONDS = 60


@pytest.fixture
def namespace() -> Iterator[str]:
    with new_namespace() as name:
        yield name


def lease(namespace: str, holder: str, seconds: int = 30) -> Lease:
    return Lease(config.new_client_from_config(), namespace, holder, seconds)


def spec(namespace: str) -> dict[str, Any]:
    found = kubectl("get", "lease", NAME, "--namespace", namespace, "--output=json")
    return json.loads(found)["spec"]


def leave(namespace: str, holder: str, seconds_ago: int) -> None:
    """What a holder leaves that said its last word so long ago; its lock lasts 30 seconds."""
    said = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    held = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 30,
            "renewTime": said.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(held))


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@needs_cluster
def test_it_is_held_by_one_and_free_afterwards(namespace: str) -> None:
    with lease(namespace, "first").held():
        assert spec(namespace)["holderIdentity"] == "first"
        with pytest.raises(ValueError, match="another deployment is at work .* by first, which"):
            with lease(namespace, "second").held():
                pass
        assert spec(namespace)["holderIdentity"] == "first"
    assert not spec(namespace).get("holderIdentity")
    with lease(namespace, "second").held():
        assert spec(namespace)["holderIdentity"] == "second"


@needs_cluster
def test_it_is_renewed_while_it_is_held(namespace: str) -> None:
    with lease(namespace, "first", seconds=1).held():
        begin = spec(namespace)["renewTime"]
        wait_until(lambda: spec(namespace)["renewTime"] > begin)


@needs_cluster
def test_one_whose_holder_died_is_taken_over_and_a_live_one_is_not(namespace: str) -> None:
    leave(namespace, "live", seconds_ago=5)
    with pytest.raises(ValueError, match="by live"), lease(namespace, "second").held():
        pass
    leave(namespace, "dead", seconds_ago=31)
    with lease(namespace, "second").held():
        assert spec(namespace)["holderIdentity"] == "second"


@needs_cluster
def test_who_lost_it_is_told_and_leaves_it_to_the_other(namespace: str) -> None:
    first = lease(namespace, "first", seconds=1)
    with first.held():
        first.check()
        leave(namespace, "second", seconds_ago=0)

        def is_lost() -> bool:
            try:
                first.check()
            except RuntimeError as error:
                return "the lock of the deployment was lost" in str(error)
            return False

        wait_until(is_lost)
    assert spec(namespace)["holderIdentity"] == "second"


@needs_cluster
def test_without_the_rights_it_says_what_brings_them(namespace: str) -> None:
    api = config.new_client_from_config()
    api.set_default_header("Impersonate-User", f"system:serviceaccount:{namespace}:nobody")
    held = Lease(api, namespace, new_holder(), 30).held()
    with pytest.raises(ValueError, match="kubectl apply -k manifests/overlays/deploying"), held:
        pass

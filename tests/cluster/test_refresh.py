"""A refresh that is published to the channel: pods that run take it, and no request notices."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homefeed.release.store import ReleaseStore
from tests.cluster.answers import Traffic
from tests.cluster.conftest import Demo
from tests.cluster.figures import Figures
from tests.cluster.pods import STORE, Client
from tests.cluster.service import Service, restarts
from tests.kubectl import needs_cluster

FOLLOW = ("--set", "replicaCount=2,release.followSeconds=2")
SWAP_SECONDS = 180
SERVERS = ("faiss", "torchserve", "follow-release")


@pytest.fixture
def followed(service: Service, client: Client, store: Path, demo: Demo) -> Iterator[None]:
    """Pods that look at the channel every other second; it stands for the demo again at the end."""
    code, complaint = service.helm("upgrade", "--timeout", "3m", *FOLLOW)
    assert code == 0, complaint + service.explain()
    service.settle()
    # Pods that end answer for a while, and would be taken for those that run.
    wait_until(
        service,
        lambda: all("deletionTimestamp" not in pod["metadata"] for pod in service.pods()),
    )
    yield
    publish(client, store)
    wait_for_version(service, client, demo, demo.version)


def publish(client: Client, store: Path) -> None:
    """Copies a store into the claim's, releases before channels."""
    for folder in ("releases", "channels"):
        client.copy(store / folder, f"{STORE}/{folder}")


def versions(service: Service, client: Client, demo: Demo) -> set[str]:
    """The releases that the pods answer from, each asked by itself."""
    found = set()
    for pod in service.pods():
        url = f"http://{pod['status']['podIP']}:8080"
        (answer,) = client.ask(url, [{"user_id": demo.users[0]}])
        found.add(answer["body"]["model_version"])
    return found


def wait_for_version(service: Service, client: Client, demo: Demo, version: str) -> None:
    wait_until(service, lambda: versions(service, client, demo) == {version})


def wait_until(service: Service, condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SWAP_SECONDS
    while not condition():
        assert time.monotonic() < deadline, service.explain()
        time.sleep(0.5)


@needs_cluster
@pytest.mark.usefixtures("restored", "followed")
def test_running_pods_take_a_refresh_and_no_request_notices(
    service: Service,
    client: Client,
    traffic: Traffic,
    demo: Demo,
    refresh: Path,
    figures: Figures,
) -> None:
    later = ReleaseStore(str(refresh)).resolve("production")
    before = [pod["metadata"]["name"] for pod in service.pods()]
    with traffic.flowing():
        published = time.monotonic()
        publish(client, refresh)
        wait_for_version(service, client, demo, later)
        seconds = time.monotonic() - published
    pods = service.pods()
    assert [pod["metadata"]["name"] for pod in pods] == before
    assert [restarts(pod, name) for pod in pods for name in SERVERS] == [0] * len(pods) * 3
    assert traffic.failed() == 0
    assert traffic.degraded() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    bodies = [answer["body"] for answer in traffic.answers]
    assert all(body["index_version"] == body["model_version"] for body in bodies)
    assert {body["model_version"] for body in bodies} == {demo.version, later}
    assert bodies[-1]["model_version"] == later
    figures.add("refresh in running pods", "on all pods", round(seconds, 1), "seconds")
    figures.add("refresh in running pods", "requests", len(bodies), "")
    figures.add("refresh in running pods", "failed requests", traffic.failed(), "")

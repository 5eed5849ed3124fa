"""A refresh that is published to the channel: pods that run take it, and no request notices."""

import statistics
from typing import Any

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.pods import Client
from tests.cluster.releases import republish, wait_for_version
from tests.cluster.service import Service, restarts
from tests.kubectl import needs_cluster

SERVERS = ("faiss", "torchserve", "follow-release")
NUM_IN_A_ROW = 20
LEAST_PER_SECOND = 50
MOST_SECONDS = 30
"""Until every pod answers from a refresh; pods look at the channel every two."""


@needs_cluster
@pytest.mark.usefixtures("refreshed")
def test_running_pods_take_a_refresh_and_no_request_notices(
    service: Service, client: Client, traffic: Traffic, demo: Demo, figures: Figures
) -> None:
    before = starts(service)
    with traffic.flowing():
        later = republish(client, demo.version, demo.created_at + 60)
        seconds = wait_for_version(service, client, demo, later)
    assert starts(service) == before
    bodies = check_all_right(traffic)
    assert {body["model_version"] for body in bodies} == {demo.version, later}
    assert seconds < MOST_SECONDS
    assert bodies[-1]["model_version"] == later
    figures.add("refresh in running pods", "on all pods", round(seconds, 1), "seconds")
    figures.add("refresh in running pods", "requests", len(bodies), "")
    figures.add("refresh in running pods", "requests a second", traffic.per_second(), "requests/s")
    figures.add("refresh in running pods", "failed requests", traffic.failed(), "")


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("refreshed")
def test_many_refreshes_in_a_row(
    service: Service, client: Client, traffic: Traffic, demo: Demo, figures: Figures
) -> None:
    before = starts(service)
    refreshes, seconds = [demo.version], []
    with traffic.flowing():
        for number in range(NUM_IN_A_ROW):
            created_at = demo.created_at + 120 + number
            refreshes.append(republish(client, demo.version, created_at))
            seconds.append(wait_for_version(service, client, demo, refreshes[-1]))
    assert starts(service) == before
    bodies = check_all_right(traffic)
    assert {body["model_version"] for body in bodies} == set(refreshes)
    # Else it would say nothing about a busy service.
    assert traffic.per_second() >= LEAST_PER_SECOND
    assert max(seconds) < MOST_SECONDS
    configuration = f"{NUM_IN_A_ROW} refreshes in a row"
    figures.add(configuration, "on all pods, median", statistics.median(seconds), "seconds")
    figures.add(configuration, "on all pods, longest", max(seconds), "seconds")
    figures.add(configuration, "requests", len(bodies), "")
    figures.add(configuration, "requests a second", traffic.per_second(), "requests/s")
    figures.add(configuration, "failed requests", traffic.failed(), "")


def starts(service: Service) -> dict[tuple[str, str], int]:
    """How often each server of each pod was started again; an earlier test may have killed some."""
    return {
        (pod["metadata"]["name"], server): restarts(pod, server)
        for pod in service.pods()
        for server in SERVERS
    }


def check_all_right(traffic: Traffic) -> list[dict[str, Any]]:
    """The answers, all of which must be good ones, and of one release each."""
    assert traffic.failed() == 0
    assert traffic.degraded() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    bodies = [answer["body"] for answer in traffic.answers]
    assert all(body["index_version"] == body["model_version"] for body in bodies)
    return bodies

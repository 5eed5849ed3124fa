"""A second release beside the first: it is promoted or taken back, and no request fails."""

import time
from typing import Any

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.pods import Client
from tests.cluster.prometheus import query
from tests.cluster.releases import ASIDE, republish
from tests.cluster.service import OBJECTS, Service
from tests.kubectl import needs_cluster

SCRAPE_SECONDS = 60


@pytest.fixture
def later(client: Client, demo: Demo) -> str:
    """The version of a later release in the claim's store, for which no channel of pods stands."""
    return republish(client, demo.version, demo.created_at + 60, ASIDE)


@pytest.fixture
def canary(service: Service, later: str) -> str:
    """A canary pod that serves that release beside the two of the service."""
    code, complaint = service.helm(
        "upgrade", "--timeout", "3m", "--set", f"canary.enabled=true,canary.release={later}"
    )
    assert code == 0, complaint + service.explain()
    service.settle()
    return later


def track(pod: dict[str, Any]) -> str:
    return pod["metadata"]["labels"]["track"]


def tracks(service: Service) -> list[str]:
    return sorted(map(track, service.pods()))


def versions(traffic: Traffic) -> list[str]:
    """Which release gave each answer, after a look at whether all were right."""
    assert traffic.failed() == 0
    assert traffic.degraded() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    bodies = [answer["body"] for answer in traffic.answers]
    assert all(body["index_version"] == body["model_version"] for body in bodies)
    return [body["model_version"] for body in bodies]


def measured(prometheus: str, text: str) -> dict[str, dict[str, Any]]:
    """The series that a query finds, by their pod."""
    return {each["metric"]["pod"]: each for each in query(prometheus, text)}


@needs_cluster
@pytest.mark.usefixtures("restored")
def test_both_tracks_answer_and_each_metric_tells_which(
    service: Service, client: Client, canary: str, traffic: Traffic, demo: Demo, prometheus: str
) -> None:
    assert tracks(service) == ["canary", "stable", "stable"]
    releases = {"stable": demo.version, "canary": canary}
    for name, version in releases.items():
        url = f"http://{OBJECTS}-{name}.{service.namespace}"
        answers = client.ask(url, [{"user_id": user} for user in demo.users[:10]])
        assert {answer["body"]["model_version"] for answer in answers} == {version}
    by_pod = {pod["metadata"]["name"]: releases[track(pod)] for pod in service.pods()}
    own = f'namespace="{service.namespace}"'
    counted = (
        f'sum by (pod) (rate(homefeed_retrieval_requests_total{{{own}, outcome="ok"}}[1m])) > 0'
    )
    deadline = time.monotonic() + SCRAPE_SECONDS
    with traffic.flowing():
        while True:
            info = measured(prometheus, f"homefeed_sidecar_index_info{{{own}}}")
            served = {pod: each["metric"]["version"] for pod, each in info.items()}
            answering = measured(prometheus, counted).keys()
            if by_pod.items() <= served.items() and by_pod.keys() <= answering:
                break
            assert time.monotonic() < deadline, (served, answering)
            time.sleep(1)
    assert set(versions(traffic)) == {demo.version, canary}


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("restored")
def test_a_canary_is_promoted_and_no_request_notices(
    service: Service, canary: str, traffic: Traffic, demo: Demo, figures: Figures
) -> None:
    with traffic.flowing():
        code, complaint = service.helm(
            "upgrade", "--timeout", "3m", "--set", f"release.version={canary}"
        )
        assert code == 0, complaint + service.explain()
        # Pods that end answer for a while: until the last of them is gone.
        service.wait_until(lambda: tracks(service) == ["stable", "stable"])
    answered = versions(traffic)
    assert set(answered) == {demo.version, canary}
    assert answered[-1] == canary
    figures.add("canary promoted", "requests", len(answered), "")
    figures.add("canary promoted", "failed requests", traffic.failed(), "")


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("restored")
def test_a_canary_is_taken_back_and_no_request_notices(
    service: Service, canary: str, traffic: Traffic, demo: Demo, figures: Figures
) -> None:
    stable = [pod["metadata"]["name"] for pod in service.pods() if track(pod) == "stable"]
    with traffic.flowing():
        code, complaint = service.helm("upgrade", "--timeout", "3m")
        assert code == 0, complaint + service.explain()
        service.wait_until(lambda: tracks(service) == ["stable", "stable"])
    answered = versions(traffic)
    assert set(answered) == {demo.version, canary}
    assert answered[-1] == demo.version
    assert [pod["metadata"]["name"] for pod in service.pods()] == stable
    figures.add("canary taken back", "requests", len(answered), "")
    figures.add("canary taken back", "failed requests", traffic.failed(), "")

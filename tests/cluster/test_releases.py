"""Upgrades to another release: one that is broken is never served, a whole one is."""

import time
from typing import Any

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.pods import Client
from tests.cluster.releases import BROKEN_FILE, flip_a_bit
from tests.cluster.service import Service, is_ready
from tests.cluster.steps_in_images import ImageRun
from tests.kubectl import get, kubectl, needs_cluster


@pytest.fixture
def other(image_run: ImageRun, client: Client) -> str:
    """The version of a second release in the claim's store, which pods do not ask for."""
    client.copy(image_run.store)
    return image_run.version


def newest(service: Service) -> dict[str, Any]:
    return service.pods()[-1]


def events_of(service: Service, pod: str) -> str:
    """What the events of a pod say."""
    chosen = ("--field-selector", f"involvedObject.name={pod}")
    found = get("events", "--namespace", service.namespace, *chosen)
    return "\n".join(f"{each['reason']}: {each['message']}" for each in found)


@needs_cluster
@pytest.mark.usefixtures("restored")
def test_a_broken_release_is_never_served_and_says_why(
    service: Service, client: Client, traffic: Traffic, demo: Demo, other: str
) -> None:
    serving = [pod["metadata"]["name"] for pod in service.pods()]
    flip_a_bit(client, other)
    wanted = ("--set", f"release.version={other}")
    try:
        with traffic.flowing():
            code, complaint = service.helm("upgrade", "--timeout", "45s", *wanted)
        assert code != 0
        assert "not ready" in complaint
        broken = newest(service)
        name = broken["metadata"]["name"]
        assert name not in serving
        assert not is_ready(broken)
        # Every answer came from the release that is whole.
        assert traffic.failed() == 0
        assert all(traffic.is_right(answer) for answer in traffic.answers)
        where = ("--namespace", service.namespace, "--container", "fetch-release")
        for said in (kubectl("logs", name, *where), events_of(service, name)):
            assert BROKEN_FILE in said
            assert other in said
            assert "sha256" in said
        (answer,) = client.ask(service.url, [{"user_id": demo.users[0]}])
        assert answer["body"]["model_version"] == demo.version
    finally:
        flip_a_bit(client, other)


@needs_cluster
@pytest.mark.usefixtures("restored")
def test_the_release_that_the_images_made_takes_over(
    service: Service, client: Client, traffic: Traffic, other: str, figures: Figures
) -> None:
    with traffic.flowing():
        start = time.monotonic()
        wanted = ("--set", f"release.version={other}")
        code, complaint = service.helm("upgrade", "--timeout", "3m", *wanted)
        assert code == 0, complaint + service.explain()
        service.settle()
        seconds = time.monotonic() - start
    assert traffic.failed() == 0
    assert traffic.degraded() == 0
    versions = [answer["body"]["model_version"] for answer in traffic.answers]
    assert versions[-1] == other
    # Old and new pods answer side by side, each from its own towers and index alone.
    assert all(
        answer["body"]["index_version"] == answer["body"]["model_version"]
        for answer in traffic.answers
    )
    configuration = "upgrade to another release"
    figures.add(configuration, "on all pods", seconds, "seconds")
    figures.add(configuration, "requests", len(traffic.answers), "")
    figures.add(configuration, "requests a second", traffic.per_second(), "requests/s")
    figures.add(configuration, "failed requests", traffic.failed(), "")


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("restored")
def test_a_version_that_does_not_exist_is_named(service: Service, client: Client) -> None:
    missing = "20200101T000000Z-00000000"
    wanted = ("--set", f"release.version={missing}")
    code, _ = service.helm("upgrade", "--timeout", "20s", *wanted)
    assert code != 0
    said = events_of(service, newest(service)["metadata"]["name"])
    assert f"no release '{missing}'" in said

"""Upgrades that are taken back, by helm itself and by hand, while the service is asked."""

import time

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.pods import Client
from tests.cluster.releases import ASIDE, flip_a_bit, republish
from tests.cluster.service import NAME, Service
from tests.cluster.test_recovery import names
from tests.helm.chart import run_helm
from tests.kubectl import needs_cluster


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("restored")
def test_an_upgrade_to_a_corrupt_release_is_taken_back(
    service: Service, client: Client, traffic: Traffic, demo: Demo, figures: Figures
) -> None:
    corrupt = republish(client, demo.version, demo.created_at + 180, ASIDE)
    flip_a_bit(client, corrupt)
    before = names(service)
    wanted = f"release.version={corrupt}"
    with traffic.flowing():
        start = time.monotonic()
        code, complaint = service.helm(
            "upgrade", "--rollback-on-failure", "--timeout", "45s", "--set", wanted
        )
        service.settle()
        service.wait_until(lambda: len(service.pods()) == 2)
        seconds = time.monotonic() - start
    assert code != 0
    assert "not ready" in complaint
    assert service.history()[-1]["status"] == "deployed"
    assert service.history()[-1]["description"].startswith("Rollback to ")
    assert names(service) == before
    assert traffic.failed() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    assert {answer["body"]["model_version"] for answer in traffic.answers} == {demo.version}
    configuration = "upgrade to a corrupt release, given up after 45 s and taken back"
    figures.add(configuration, "all of it", seconds, "seconds")
    figures.add(configuration, "requests", len(traffic.answers), "")
    figures.add(configuration, "failed requests", traffic.failed(), "")


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("restored")
def test_a_rollback_by_hand(
    service: Service, client: Client, traffic: Traffic, demo: Demo, figures: Figures
) -> None:
    later = republish(client, demo.version, demo.created_at + 240, ASIDE)
    with traffic.flowing():
        wanted = ("--set", f"release.version={later}")
        code, complaint = service.helm("upgrade", "--timeout", "3m", *wanted)
        assert code == 0, complaint + service.explain()
        service.settle()
        start = time.monotonic()
        command = ("rollback", NAME, "--namespace", service.namespace, "--wait", "--timeout", "3m")
        rolled_back = run_helm(*command, on_cluster=True)
        assert rolled_back.returncode == 0, rolled_back.stderr
        service.settle()
        service.wait_until(lambda: len(service.pods()) == 2)
        seconds = time.monotonic() - start
    assert traffic.failed() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    versions = [answer["body"]["model_version"] for answer in traffic.answers]
    assert set(versions) == {demo.version, later}
    assert versions[0] == versions[-1] == demo.version
    configuration = "upgrade and helm rollback"
    figures.add(configuration, "the way back", seconds, "seconds")
    figures.add(configuration, "requests", len(versions), "")
    figures.add(configuration, "failed requests", traffic.failed(), "")

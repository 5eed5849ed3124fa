"""What a target makes of helm's revisions, those of people among them, on a real API server."""

from collections.abc import Iterator

import pytest
from kubernetes import client, config

from homefeed.deployment.cluster.helm import CHART_VARIABLE
from homefeed.deployment.cluster.status import Observed
from homefeed.deployment.cluster.target import ClusterTarget
from homefeed.deployment.config import ClusterConfig
from tests.helm.chart import CHART, run_helm
from tests.kubectl import needs_cluster, new_namespace
from tests.tools import kubernetes_tools

NAME = "home"
FIRST, SECOND = "20261128T000000Z-00000000", "20261129T000000Z-00000000"


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterTarget]:
    """Of a namespace that holds nothing."""
    monkeypatch.setenv(CHART_VARIABLE, str(CHART))
    monkeypatch.setenv("PATH", str(kubernetes_tools().helm.parent))
    with new_namespace() as namespace:
        settings = ClusterConfig(namespace=namespace, name=NAME)
        yield ClusterTarget(settings, config.new_client_from_config(), None)


def by_hand(target: ClusterTarget, version: str, *options: str) -> str:
    """An upgrade as a person would do it, to pods that no node can have; returns a complaint."""
    namespace = target.title.rpartition(" ")[2]
    store = "release.existingClaim=,release.store=s3://bucket/homefeed"
    chosen = ("--set", f"{store},release.version={version},nodeSelector.no=node")
    command = ("upgrade", NAME, str(CHART), "--install", "--namespace", namespace)
    values = ("--values", str(CHART / "ci" / "minimal-values.yaml"))
    return run_helm(*command, *values, *chosen, *options, on_cluster=True).stderr


@needs_cluster
def test_the_way_back_leads_past_an_upgrade_that_failed(target: ClusterTarget) -> None:
    assert target.before() == ""
    assert by_hand(target, FIRST) == ""
    assert target.before() == FIRST
    assert "not ready" in by_hand(target, SECOND, "--wait", "--timeout=1s")
    # Its pods never came; those of the first are what answers.
    assert target.before() == FIRST
    assert target.mend() == ""


@needs_cluster
def test_nothing_was_there_before_a_first_installation_that_failed(target: ClusterTarget) -> None:
    assert "not ready" in by_hand(target, FIRST, "--wait", "--timeout=1s")
    assert target.before() == ""


def test_an_api_that_does_not_answer_is_an_error_of_the_deployment() -> None:
    settings = client.Configuration()
    settings.host, settings.retries = "http://127.0.0.1:1", 0
    observed = Observed(client.ApiClient(settings), "default", NAME)
    for ask in (observed.status, lambda: observed.urls(FIRST)):
        with pytest.raises(RuntimeError, match="the cluster does not say what is in namespace"):
            ask()

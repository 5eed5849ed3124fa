"""helm itself, and what becomes of its complaints."""

from pathlib import Path

import pytest

from homefeed.deployment.cluster.helm import CHART_VARIABLE, Helm
from homefeed.deployment.config import ClusterConfig
from tests.helm.chart import CHART
from tests.tools import kubernetes_tools

UNREACHABLE = """
apiVersion: v1
kind: Config
clusters: [{name: gone, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: gone, context: {cluster: gone, user: nobody}}]
users: [{name: nobody, user: {}}]
current-context: gone
"""


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """helm and the chart, and the kubeconfig of a cluster that does not answer."""
    monkeypatch.setenv(CHART_VARIABLE, str(CHART))
    monkeypatch.setenv("PATH", str(kubernetes_tools().helm.parent))
    path = tmp_path / "kubeconfig"
    path.write_text(UNREACHABLE)
    return path


def test_a_cluster_that_does_not_answer_is_no_empty_one(unreachable: Path) -> None:
    helm = Helm(ClusterConfig(name="home"), unreachable)
    with pytest.raises(RuntimeError, match=r"helm history home: .*127\.0\.0\.1:1"):
        helm.history()


def test_without_helm_or_chart_it_says_what_to_do(
    unreachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHART_VARIABLE, str(unreachable.parent))
    with pytest.raises(ValueError, match=f"set {CHART_VARIABLE} to the folder"):
        Helm(ClusterConfig(), unreachable)
    monkeypatch.setenv(CHART_VARIABLE, str(CHART))
    monkeypatch.setenv("PATH", str(unreachable.parent))
    with pytest.raises(ValueError, match="there is no helm on PATH: install helm 4"):
        Helm(ClusterConfig(), unreachable)

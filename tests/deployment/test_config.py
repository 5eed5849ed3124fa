import pytest

from homefeed.config import from_yaml
from homefeed.deployment.config import ClusterConfig, DeploymentConfig, LocalConfig


def test_nothing_said_is_the_charts_default_place() -> None:
    config = from_yaml("{}", DeploymentConfig, "deploy")
    assert config.to == ClusterConfig(namespace="homefeed-serving", name="home")
    assert not config.dry_run


def test_this_machine_is_another_place() -> None:
    config = from_yaml("to: {kind: local, folder: served}", DeploymentConfig, "deploy")
    assert config.to == LocalConfig(folder="served", port=8080)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("to: {kind: local}", "missing required field `folder`"),
        ("to: {kind: local, folder: served, port: 0}", "port=0 must be from 1 to 65535"),
        ("to: {kind: local, folder: served, timeout_seconds: 0}", "timeout_seconds=0 must be"),
        ("to: {kind: cluster, timeout_seconds: 0}", "timeout_seconds=0 must be at least 1"),
        ("to: {kind: cluster, lock_seconds: 0}", "lock_seconds=0 must be at least 1"),
        ("to: {kind: cluster, chart: mine}", "unknown field `chart`"),
        ("smoke_test: {k: 0}", r"smoke_test\.k=0 must be at least 1"),
        ("smoke_test: {tries: 0}", r"smoke_test\.tries=0 must be at least 1"),
        ("smoke_test: {timeout_seconds: 0}", r"smoke_test\.timeout_seconds=0 must be more than 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"deploy: .*{said}"):
        from_yaml(text, DeploymentConfig, "deploy")

"""A deployment to whatever its configuration names; for the step and for `homefeed deploy`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homefeed.config import from_yaml
from homefeed.deployment.cluster.target import open_cluster
from homefeed.deployment.config import DeploymentConfig, LocalConfig
from homefeed.deployment.deploy import Order, deploy
from homefeed.deployment.layout import Deployment
from homefeed.deployment.target import Target


def deploy_release(store: str, version: str, channel: str, config: str, output: Path) -> Deployment:
    """Deploys a release that is published.

    Args:
        store: URL of the release store.
        version: of the release.
        channel: what must stand for it; empty for none.
        config: where it is deployed and how it is tested, as YAML.
        output: folder of the report.

    Raises:
        ValueError: the configuration cannot be used, no release is published, or it is refused;
            nothing was changed.
        RuntimeError: it failed; says what is served now.
    """
    parsed = from_yaml(config, DeploymentConfig, "deploy")
    if not store or not version:
        raise ValueError(
            "a deployment takes its release from a store, and none is given: say where it is "
            "(--param store=s3://bucket/path)"
        )
    with _open(parsed, store) as target:
        return deploy(Order(store, version, channel), parsed, target, output)


@contextmanager
def _open(config: DeploymentConfig, store: str) -> Iterator[Target]:
    match config.to:
        case LocalConfig() as local:
            # Where there is a cluster, no server of this machine is installed.
            from components.deploy_release.local_target import LocalTarget

            yield LocalTarget(local, store)
        case cluster:
            with open_cluster(cluster) as target:
                yield target

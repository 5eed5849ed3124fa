"""Pods whose releases are in a bucket: whom they reach, and what they do without it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.network import REST, address, api_server, reaches
from tests.cluster.pods import Client, Node, apply, client_pod
from tests.cluster.service import Images, Service, installed
from tests.cluster.test_install import S3_SERVER, in_bucket
from tests.cluster.test_outages import last_end
from tests.cluster.test_recovery import check, names
from tests.kubectl import kubectl, needs_cluster, new_namespace

pytestmark = pytest.mark.full


class Place(NamedTuple):
    service: Service
    client: Client


@pytest.fixture(scope="module")
def bucket(images: Images, node: Node, demo: Demo, store: Path) -> Iterator[Place]:
    """Two pods that serve the demo's release from an S3 server, with a policy around them."""
    image = images.named("homefeed-torchserve")
    settings = {
        "autoscaling.minReplicas": "2",
        "autoscaling.maxReplicas": "2",
        "networkPolicy.kubernetesApi.to[0].ipBlock.cidr": api_server(),
    }
    options = ",".join(f"{name}={value}" for name, value in settings.items())
    with new_namespace() as namespace, client_pod(namespace, image, node) as client:
        in_bucket(images, client, demo, store)
        with installed(namespace, "s3", images, "--set", options) as service:
            service.wait_until(lambda: len(service.ready()) == 2)
            yield Place(service, client)


@needs_cluster
@pytest.mark.usefixtures("enforced")
def test_the_pods_reach_their_store_and_no_other_service(bucket: Place, service: Service) -> None:
    asking, other = bucket.service.pods()[0], service.pods()[0]
    assert reaches(bucket.client, address(other))
    assert not bucket.service.reaches(asking, address(other), REST)
    # By its name, so that name servers are reached too.
    assert bucket.service.reaches(asking, "s3", 9000)


@needs_cluster
def test_the_bucket_is_away_while_a_pod_starts(bucket: Place, demo: Demo, figures: Figures) -> None:
    service = bucket.service
    requests = [{"user_id": user, "k": 20} for user in demo.users]
    traffic = Traffic(bucket.client, service.url, requests)
    victim = service.pods()[0]["metadata"]["name"]
    own = ("--namespace", service.namespace)
    with traffic.flowing():
        kubectl("delete", "service", "s3", *own)
        try:
            kubectl("delete", "pod", victim, *own, "--wait=false")
            service.wait_until(
                lambda: (
                    victim not in names(service) and last_end(service.pods()[-1], "fetch-release")
                )
            )
            assert len(service.ready()) == 1
        finally:
            # The server went on, and has what it holds in its memory.
            apply(service.namespace, s3_service())
        healed = service.wait_until(lambda: len(service.ready()) == 2)
    check(traffic, figures, "bucket away while a pod restarts, and back", healed)
    assert traffic.failed() == 0
    assert traffic.degraded() == 0


def s3_service() -> dict[str, Any]:
    objects = yaml.safe_load_all(S3_SERVER.read_text())
    (found,) = (each for each in objects if each["kind"] == "Service")
    return found

"""A cluster with the images on it, the demo's release, and the service that answers from it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from homefeed.contracts import Column
from homefeed.events.layout import USERS_FILE
from homefeed.release.bundle import read_release_manifest
from homefeed.release.store import ReleaseStore
from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.network import DENY_ALL, is_cut_off
from tests.cluster.pods import Client, Node, client_pod, node_pod
from tests.cluster.releases import republish, wait_for_version
from tests.cluster.run import deliver
from tests.cluster.service import Images, Service, installed
from tests.cluster.steps_in_images import ImageRun, run_in_images
from tests.kubectl import get, kubectl, new_namespace

NUM_USERS = 50
FAILED = Path("build/failed/cluster-e2e.json")
SETTINGS = "replicaCount=2,release.followSeconds=2"
"""Pods that take what is published at once: a minute is long in a test."""
SAMPLE = "sidecar.recallSamplePercent=20"


@pytest.fixture(scope="session")
def images() -> Images:
    """The images, which `make e2e-cluster` has put onto the nodes."""
    if "HOMEFEED_E2E_IMAGES" not in os.environ:
        pytest.skip("needs the images on a cluster's nodes: run `make e2e-cluster`")
    registry, _, tag = os.environ["HOMEFEED_E2E_IMAGES"].rpartition(":")
    return Images(registry, tag)


@pytest.fixture(scope="session")
def pipeline_image(images: Images) -> str:
    """The pipeline's image, by far the largest: it is brought to the node where a test runs it."""
    name = images.named("homefeed-pipeline")
    deliver(name)
    return name


@pytest.fixture(scope="session")
def demo() -> Demo:
    """The release of ml-1m, and some of its users."""
    run = json.loads((Path(os.environ["HOMEFEED_E2E_WORK"]) / "run.json").read_text())
    users = pq.read_table(Path(run["dataset"]) / USERS_FILE, columns=[Column.USER_ID])
    first = users[Column.USER_ID].to_pylist()[:NUM_USERS]
    assert len(first) == NUM_USERS
    release = Path(run["release"])
    return Demo(release, run["version"], read_release_manifest(release).created_at, first)


@pytest.fixture(scope="session")
def store(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release store in a folder, with the demo's release in production."""
    folder = tmp_path_factory.mktemp("store")
    ReleaseStore(str(folder)).publish(demo.release, "production")
    return folder


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """What the tests measure; kept where that is wanted and none has failed."""
    figures = Figures(os.environ.get("HOMEFEED_E2E_TARGET", "e2e-cluster"))
    yield figures
    if wanted := os.environ.get("HOMEFEED_E2E_RESULTS"):
        # What a failed run measured is only to look at.
        figures.write(FAILED if request.session.testsfailed else Path(wanted))


@pytest.fixture(scope="session")
def node(images: Images) -> Iterator[Node]:
    """Reaches into the node that all pods are on."""
    if len(get("nodes")) != 1:
        pytest.skip("needs a cluster of one node, to kill processes in")
    with node_pod(images.named("homefeed-torchserve")) as node:
        yield node


@pytest.fixture(scope="session")
def client(images: Images, node: Node, store: Path) -> Iterator[Client]:
    """A pod in a namespace with restricted Pod Security, whose claim holds the store."""
    with (
        new_namespace() as namespace,
        client_pod(namespace, images.named("homefeed-torchserve"), node) as client,
    ):
        client.copy(store)
        yield client


@pytest.fixture(scope="session")
def service(images: Images, client: Client) -> Iterator[Service]:
    """Two pods that serve the demo's release from the claim."""
    with installed(client.namespace, "minimal", images, "--set", SETTINGS) as service:
        service.settle()
        yield service


@pytest.fixture
def enforced(service: Service, node: Node) -> None:
    """Skips where the cluster enforces no policy, which one that is not the chart's tells."""
    own = ("--namespace", service.namespace, "--filename=-")
    kubectl("apply", *own, stdin=DENY_ALL)
    try:
        is_enforced = is_cut_off(node, service.pods()[0])
    finally:
        kubectl("delete", *own, stdin=DENY_ALL)
    if not is_enforced:
        pytest.skip("the cluster's network plugin does not enforce NetworkPolicies")


@pytest.fixture(scope="session")
def image_run(
    images: Images, figures: Figures, tmp_path_factory: pytest.TempPathFactory
) -> ImageRun:
    """The pipeline on ml-100k, each step in the pipeline's image."""
    folder = tmp_path_factory.mktemp("in-images")
    run = run_in_images(images.named("homefeed-pipeline"), "ml-100k", folder)
    configuration = "train_and_release of ml-100k, each step in its container"
    for stage, seconds in {**run.stages, "the whole run": run.seconds}.items():
        figures.add(configuration, stage, seconds, "seconds")
    return run


@pytest.fixture
def traffic(service: Service, client: Client, demo: Demo) -> Traffic:
    service.settle()
    plain: list[dict[str, Any]] = [{"user_id": user, "k": 20} for user in demo.users]
    best = [
        [pin["pin_id"] for pin in answer["body"]["pins"]]
        for answer in client.ask(service.url, plain)
    ]
    excluding = [{**asked, "exclude": pins[::2]} for asked, pins in zip(plain, best, strict=True)]
    return Traffic(client, service.url, plain + excluding)


@pytest.fixture
def restored(service: Service) -> Iterator[None]:
    """Puts the service back to the release in production, whatever a test did."""
    yield
    # The number of pods may be an autoscaler's, which is gone with this.
    service.upgrade("--force-conflicts")


@pytest.fixture
def refreshed(service: Service, client: Client, demo: Demo) -> Iterator[None]:
    """The channel, and with it the pods, stand for the demo again at the end."""
    yield
    republish(client, demo.version, demo.created_at)
    wait_for_version(service, client, demo, demo.version)


@pytest.fixture(scope="module")
def sampling(service: Service, client: Client, demo: Demo) -> Iterator[None]:
    """Pods that measure the recall of many searches, of an index that is approximate."""
    service.upgrade("--set", SAMPLE)
    yield
    republish(client, demo.version, demo.created_at)
    service.upgrade()


@pytest.fixture(scope="session")
def prometheus() -> str:
    """Address of the Prometheus that scrapes the cluster."""
    if "HOMEFEED_E2E_PROMETHEUS" not in os.environ:
        pytest.skip("needs a Prometheus that scrapes the cluster: HOMEFEED_E2E_PROMETHEUS")
    return os.environ["HOMEFEED_E2E_PROMETHEUS"]

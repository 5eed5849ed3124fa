"""The chart from nothing to a request answered, and away again, with each file of values."""

import json
import time
from pathlib import Path

import pytest

from tests.cluster.demo import Demo
from tests.cluster.figures import Figures
from tests.cluster.pods import STORE, Client, Node, client_pod
from tests.cluster.service import NAME, Images, installed, phases
from tests.helm.chart import CI_VALUES, run_helm
from tests.kubectl import kubectl, needs_cluster, new_namespace

S3_SERVER = Path(__file__).parent / "s3_server" / "s3_server.yaml"
FILL_S3 = """
import sys
import s3fs
from pathlib import Path
from homefeed.release.store import ReleaseStore
s3fs.S3FileSystem().mkdir("homefeed")
ReleaseStore("s3://homefeed/store").publish(Path(sys.argv[1]), "production")
"""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
PLACE = {"AWS_ENDPOINT_URL": "http://s3:9000", "AWS_DEFAULT_REGION": "us-east-1"}
GONE_SECONDS = 60
# What Kubernetes itself puts into every namespace, and what it says of what was there.
OWN = {"configmaps/kube-root-ca.crt", "serviceaccounts/default"}
PASSING = {
    "events",
    "events.events.k8s.io",
    "pods.metrics.k8s.io",
    "endpointslices.discovery.k8s.io",
}


def on_claim(images: Images, client: Client, demo: Demo, store: Path) -> None:
    """The store of ci/minimal-values.yaml."""
    client.copy(store)


def in_bucket(images: Images, client: Client, demo: Demo, store: Path) -> None:
    """The store of ci/s3-values.yaml, in a real S3 API server."""
    given = ("--namespace", client.namespace)
    server = S3_SERVER.read_text().replace(
        "localhost/homefeed/s3-server:e2e", images.named("s3-server")
    )
    kubectl("apply", *given, "-f", "-", stdin=server)
    kubectl("rollout", "status", *given, "deployment/s3", "--timeout=120s")
    keys = [f"--from-literal={name}={value}" for name, value in CREDENTIALS.items()]
    kubectl("create", "secret", "generic", "release-store", *given, *keys)
    client.copy(demo.release, "/tmp")
    variables = [f"{name}={value}" for name, value in {**CREDENTIALS, **PLACE}.items()]
    client.run("env", *variables, "python", "-c", FILL_S3, "/tmp")


def on_claim_twice(images: Images, client: Client, demo: Demo, store: Path) -> None:
    """The store of ci/canary-values.yaml: its other channel stands for the same release."""
    client.copy(store)
    client.run("cp", f"{STORE}/channels/production.json", f"{STORE}/channels/canary.json")


def without_redis(images: Images, client: Client, demo: Demo, store: Path) -> None:
    """What ci/redis-values.yaml names, but no Redis: it never costs an answer."""
    client.copy(store)
    kubectl("create", "secret", "generic", "redis", "--namespace", client.namespace,
            "--from-literal=password=secret")  # fmt: skip


FILL = {"canary": on_claim_twice, "minimal": on_claim, "redis": without_redis, "s3": in_bucket}
IN_SHORT = ("minimal", "s3")
"""Files of values for a store of each kind; the full run installs the others too."""
VALUES = [
    pytest.param(name, marks=() if name in IN_SHORT else pytest.mark.full)
    for name in (path.name.removesuffix("-values.yaml") for path in CI_VALUES)
]


def everything(namespace: str) -> set[str]:
    """All objects of a namespace, but those that come and go by themselves."""
    kinds = kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    asked = ",".join(sorted(set(kinds) - PASSING))
    found = json.loads(kubectl("get", asked, "--namespace", namespace, "--output=json"))["items"]
    names = {f"{each['kind'].lower()}s/{each['metadata']['name']}" for each in found}
    return names - OWN


@needs_cluster
@pytest.mark.parametrize("values", VALUES)
def test_the_chart_comes_up_is_tested_and_leaves_nothing(
    images: Images, node: Node, demo: Demo, store: Path, figures: Figures, values: str
) -> None:
    image = images.named("homefeed-torchserve")
    with new_namespace() as namespace, client_pod(namespace, image, node) as client:
        FILL[values](images, client, demo, store)
        before = everything(namespace)
        with installed(namespace, values, images) as service:
            pods = service.pods()
            assert len(pods) == (2 if values == "canary" else 1)
            tested = run_helm("test", NAME, "--namespace", namespace, "--logs", on_cluster=True)
            assert tested.returncode == 0, tested.stdout + tested.stderr
            (answer,) = client.ask(service.url, [{"user_id": demo.users[0]}])
            assert answer["status"] == 200
            assert answer["body"]["model_version"] == demo.version
            assert not answer["body"]["degraded"]
            assert everything(namespace) > before
        # Pods that are told to end take their grace period.
        deadline = time.monotonic() + GONE_SECONDS
        while (left := everything(namespace)) != before:
            assert time.monotonic() < deadline, left - before
            time.sleep(1)
    if values == "minimal":
        for phase, seconds in phases(pods[0]).items():
            figures.add("one pod, from its creation on", phase, seconds, "seconds")

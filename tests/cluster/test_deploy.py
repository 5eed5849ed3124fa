"""The deploy step as a Job: what it puts into service stays there only if it answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homefeed.deployment.layout import Outcome
from homefeed.release.store import ReleaseStore
from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.deploy_job import CHANNEL, Deployer, values_of
from tests.cluster.pods import STORE, Client, Node, client_pod
from tests.cluster.service import NAME, Images, Service
from tests.cluster.test_releases import BROKEN_FILE, flip_a_bit
from tests.deployment.broken import degraded, later
from tests.helm.chart import CI_VALUES, run_helm
from tests.kubectl import needs_cluster, new_namespace

MINIMAL = next(path for path in CI_VALUES if path.name.startswith("minimal"))
POINTED = """
import sys
from homefeed.release.store import ReleaseStore
print(ReleaseStore(sys.argv[1]).resolve(sys.argv[2]))
"""


class Place:
    """A namespace where the demo's release was deployed first, by the step itself."""

    def __init__(self, client: Client, deployer: Deployer, service: Service, scratch: Path) -> None:
        self.client, self.deployer, self.service = client, deployer, service
        self._scratch = scratch

    def publish(self, release: Path, version: str) -> None:
        """Puts a release into the claim's store, and the channel to it."""
        folder = self._scratch / version
        ReleaseStore(str(folder)).publish(release, CHANNEL)
        for part in ("releases", "channels"):
            self.client.copy(folder / part, f"{STORE}/{part}")

    def channel(self) -> str:
        return self.client.run("python", "-c", POINTED, STORE, CHANNEL).strip()

    def history(self) -> list[dict[str, Any]]:
        options = ("--namespace", self.client.namespace, "--output=json")
        return json.loads(run_helm("history", NAME, *options, on_cluster=True).stdout)

    def versions(self, user: str) -> set[str]:
        """The releases that the pods answer from, each asked by itself, but those that end."""
        found = set()
        staying = [p for p in self.service.pods() if "deletionTimestamp" not in p["metadata"]]
        for pod in staying:
            url = f"http://{pod['status']['podIP']}:8080"
            (answer,) = self.client.ask(url, [{"user_id": user}])
            assert not answer["body"]["degraded"]
            found.add(answer["body"]["model_version"])
        return found


@pytest.fixture(scope="module")
def place(
    images: Images,
    pipeline_image: str,
    node: Node,
    demo: Demo,
    store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    image = images.named("homefeed-torchserve")
    with new_namespace() as namespace, client_pod(namespace, image, node) as client:
        client.run("mkdir", "-m", "0777", f"{STORE}/releases", f"{STORE}/channels")
        for part in ("releases", "channels"):
            client.copy(store / part, f"{STORE}/{part}")
        deployer = Deployer(namespace, pipeline_image, demo.users[:2])
        service = Service(namespace, "minimal", images)
        succeeded, report = deployer.deploy(
            demo.version, values=values_of(str(MINIMAL), images, replicaCount=2)
        )
        assert succeeded, report
        assert (report.outcome, report.before) == (Outcome.DEPLOYED, "")
        service.settle()
        yield Place(client, deployer, service, tmp_path_factory.mktemp("published"))
        gone = run_helm("uninstall", NAME, "--namespace", namespace, "--wait", on_cluster=True)
        assert gone.returncode == 0, gone.stderr


@pytest.fixture
def before(place: Place, demo: Demo) -> Iterator[str]:
    """The version that is served; it is in production again afterwards."""
    yield demo.version
    place.publish(demo.release, demo.version)
    if place.versions(demo.users[0]) != {demo.version}:
        succeeded, report = place.deployer.deploy(demo.version)
        assert succeeded, report
    place.service.settle()


@needs_cluster
def test_what_is_deployed_already_is_asked_and_left_alone(place: Place, before: str) -> None:
    pods = [pod["metadata"]["name"] for pod in place.service.pods()]
    succeeded, report = place.deployer.deploy(before)
    assert succeeded, report
    assert (report.outcome, report.changes) == (Outcome.UNCHANGED, "")
    assert {each.pod for each in report.answers} == set(pods)
    assert [each.complaint for each in report.answers] == [""] * 3 * len(pods)
    assert [pod["metadata"]["name"] for pod in place.service.pods()] == pods
    assert len(place.history()) == 1


@needs_cluster
def test_a_dry_run_says_what_would_change_then_another_release_takes_over(
    place: Place, before: str, demo: Demo, tmp_path: Path
) -> None:
    version = later(demo.release, tmp_path / "later")
    place.publish(tmp_path / "later", version)
    revisions = len(place.history())
    succeeded, planned = place.deployer.deploy(version, dry_run=True)
    assert succeeded, planned
    assert planned.outcome == Outcome.DRY_RUN
    changed = [
        line.split("--")[-1] for line in planned.changes.splitlines() if "--version=" in line
    ]
    assert changed == [f"version={before}", f"version={version}"]
    assert len(place.history()) == revisions
    assert place.versions(demo.users[0]) == {before}

    succeeded, report = place.deployer.deploy(version)
    assert succeeded, report
    assert (report.outcome, report.before) == (Outcome.DEPLOYED, before)
    assert place.versions(demo.users[0]) == {version}
    assert report.status is not None
    assert "2 of 2 pods ready, 2 up to date" in report.status.summary
    assert "ReleaseFetched" in {each.reason for each in report.status.events}


@needs_cluster
@pytest.mark.full
def test_a_release_that_answers_degraded_is_rolled_back(
    place: Place, before: str, demo: Demo, tmp_path: Path
) -> None:
    version = degraded(demo.release, tmp_path / "degraded")
    place.publish(tmp_path / "degraded", version)
    succeeded, report = place.deployer.deploy(version)
    assert not succeeded
    assert (report.outcome, report.before) == (Outcome.ROLLED_BACK, before)
    assert all("degraded" in each.complaint for each in report.answers)
    assert len({each.pod for each in report.answers}) == 2
    assert f"serves {before} as before: the smoke test failed" in report.why
    place.service.settle()
    assert place.versions(demo.users[0]) == {before}
    assert place.channel() == before
    assert place.history()[-1]["description"].startswith("Rollback to")


@needs_cluster
@pytest.mark.full
def test_a_corrupt_release_is_never_served_and_no_other_deployment_comes_between(
    place: Place, before: str, demo: Demo, tmp_path: Path
) -> None:
    version = later(demo.release, tmp_path / "corrupt", seconds=300)
    place.publish(tmp_path / "corrupt", version)
    flip_a_bit(place.client, version)
    traffic = Traffic(
        place.client, place.service.url, [{"user_id": user, "k": 20} for user in demo.users]
    )
    with traffic.flowing():
        job = place.deployer.start(version, timeout_seconds=60)
        job.wait_for("which would change")
        succeeded, refused = place.deployer.deploy(version)
        assert not succeeded
        assert refused.outcome == Outcome.REFUSED
        assert f"another deployment is at work in namespace {place.client.namespace}" in refused.why
        assert f"by {job.name}-" in refused.why
        succeeded, report = job.end()
    assert not succeeded
    assert report.outcome == Outcome.ROLLED_BACK
    assert f"serves {before} as before" in report.why
    # Why, in the pod's own words.
    for part in ("ReleaseNotFetched", BROKEN_FILE, "has sha256"):
        assert part in report.why
    assert traffic.failed() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    assert place.versions(demo.users[0]) == {before}
    assert place.channel() == before

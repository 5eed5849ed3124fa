"""The deploy step as a Job: what it puts into service stays there only if it answers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homefeed.deployment.layout import Deployment, Outcome
from homefeed.release.store import ReleaseStore
from tests.cluster.answers import Traffic
from tests.cluster.demo import Demo
from tests.cluster.deploy_job import CHANNEL, Deployer, DeployJob, values_of
from tests.cluster.figures import Figures
from tests.cluster.pods import STORE, Client, Node, client_pod
from tests.cluster.service import NAME, Images, Service
from tests.cluster.test_releases import BROKEN_FILE, flip_a_bit
from tests.deployment.broken import degraded, later
from tests.helm.chart import CI_VALUES, run_helm
from tests.kubectl import needs_cluster, new_namespace

MINIMAL = next(path for path in CI_VALUES if path.name.startswith("minimal"))
CONFIGURATION = "deploy step in a Job, two pods"
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

    def history(self, name: str = NAME) -> list[dict[str, Any]]:
        """What helm did, the last thing last; nothing before the first."""
        options = ("--namespace", self.client.namespace, "--output=json")
        listed = run_helm("history", name, *options, on_cluster=True)
        return json.loads(listed.stdout) if listed.returncode == 0 else []

    def uninstall(self, name: str = NAME) -> None:
        where = ("--namespace", self.client.namespace)
        gone = run_helm("uninstall", name, *where, "--wait", on_cluster=True)
        assert gone.returncode == 0, gone.stderr

    def kill_at_work(self, job: DeployJob, name: str = NAME) -> str:
        """Kills a deployment while helm waits for pods; returns the state that it is left in."""
        self.service.wait_until(lambda: self.state(name).startswith("pending-"))
        job.kill()
        return self.state(name)

    def state(self, name: str = NAME) -> str:
        """Of what helm did last; empty before the first."""
        return next((each["status"] for each in reversed(self.history(name))), "")

    def deploy_once_free(self, version: str, **options: Any) -> Deployment:
        """Deploys when the lock is free that a killed deployment has left."""
        while True:
            succeeded, report = self.deployer.deploy(version, **options)
            if report.outcome != Outcome.REFUSED:
                assert succeeded, report
                return report
            assert "another deployment is at work" in report.why

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
        place = Place(client, deployer, service, tmp_path_factory.mktemp("published"))
        yield place
        place.uninstall()


@pytest.fixture
def corrupt(place: Place, demo: Demo, tmp_path: Path) -> str:
    """The version of a release whose pods never get ready; the channel stands for it."""
    version = later(demo.release, tmp_path / "corrupt", seconds=300)
    place.publish(tmp_path / "corrupt", version)
    flip_a_bit(place.client, version)
    return version


@pytest.fixture
def before(place: Place, demo: Demo) -> str:
    """The version that is served and in production, whatever a test before left there."""
    place.publish(demo.release, demo.version)
    if place.versions(demo.users[0]) != {demo.version}:
        succeeded, report = place.deployer.deploy(demo.version)
        assert succeeded, report
    place.service.settle()
    return demo.version


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
    place: Place, before: str, demo: Demo, tmp_path: Path, figures: Figures
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
    figures.add(CONFIGURATION, "another release in service", report.seconds, "seconds")


@needs_cluster
@pytest.mark.full
def test_a_release_that_answers_degraded_is_rolled_back(
    place: Place, before: str, demo: Demo, tmp_path: Path, figures: Figures
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
    figures.add(CONFIGURATION, "failed smoke test and rollback", report.seconds, "seconds")


@needs_cluster
@pytest.mark.full
def test_a_corrupt_release_is_never_served_and_no_other_deployment_comes_between(
    place: Place, before: str, corrupt: str, demo: Demo, figures: Figures
) -> None:
    traffic = Traffic(
        place.client, place.service.url, [{"user_id": user, "k": 20} for user in demo.users]
    )
    with traffic.flowing():
        job = place.deployer.start(corrupt, timeout_seconds=60)
        job.wait_for("which would change")
        succeeded, refused = place.deployer.deploy(corrupt)
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
    figures.add(
        CONFIGURATION, "corrupt release given up and rolled back", report.seconds, "seconds"
    )
    figures.add(CONFIGURATION, "failed requests meanwhile", traffic.failed(), "")


@needs_cluster
@pytest.mark.full
def test_what_a_killed_upgrade_left_is_mended_by_the_next_deployment(
    place: Place, before: str, corrupt: str, demo: Demo, figures: Figures
) -> None:
    pods = [pod["metadata"]["name"] for pod in place.service.pods()]
    assert place.kill_at_work(place.deployer.start(corrupt)) == "pending-upgrade"
    place.publish(demo.release, before)
    start = time.monotonic()
    report = place.deploy_once_free(before)
    seconds = time.monotonic() - start
    assert (report.outcome, report.before) == (Outcome.UNCHANGED, before)
    assert any("had left revision" in step for step in report.steps)
    assert place.state() == "deployed"
    assert place.history()[-1]["description"].startswith("Rollback to")
    place.service.settle()
    assert [pod["metadata"]["name"] for pod in place.service.pods()] == pods
    figures.add(
        CONFIGURATION, "a killed deployment mended, its lock waited for", seconds, "seconds"
    )


@needs_cluster
@pytest.mark.full
def test_what_a_killed_installation_left_is_mended_by_the_next_deployment(
    place: Place, before: str, corrupt: str, demo: Demo, images: Images
) -> None:
    options: dict[str, Any] = {"name": "another", "values": values_of(str(MINIMAL), images)}
    job = place.deployer.start(corrupt, **options)
    assert place.kill_at_work(job, "another") == "pending-install"
    place.publish(demo.release, before)
    report = place.deploy_once_free(before, **options)
    place.uninstall("another")
    assert any(step.endswith("pending-install: uninstalled") for step in report.steps)
    assert (report.outcome, report.before) == (Outcome.DEPLOYED, "")

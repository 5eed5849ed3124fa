"""A deployment to the real processes of `homefeed serve`."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from components.deploy_release.deploy import deploy_release
from components.deploy_release.local_target import LOCK_FILE, LocalTarget
from homefeed.config import to_yaml
from homefeed.deployment.config import DeploymentConfig, LocalConfig, SmokeTestConfig
from homefeed.deployment.layout import REPORT_FILE, Deployment, Outcome
from homefeed.deployment.report import read_deployment
from homefeed.release.store import ReleaseStore
from serving.local import free_ports, read_state
from tests.deployment.broken import degraded, later
from tests.serving.small_release import SmallRelease, build_small_release

MOST_SECONDS = 60


class Place:
    """A store, and a folder that is served from it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "served"
        self.store = ReleaseStore(str(folder / "store"))
        self.port = free_ports(1)[0]

    def deploy(self, version: str, dry_run: bool = False) -> Deployment:
        config = DeploymentConfig(
            to=LocalConfig(folder=str(self.work), port=self.port),
            smoke_test=SmokeTestConfig(users=("reader",), tries=2),
            dry_run=dry_run,
        )
        return deploy_release(
            self.store.url, version, "production", to_yaml(config), self.folder / "report"
        )

    @property
    def report(self) -> Deployment:
        return read_deployment(self.folder / "report")

    def answers_from(self) -> str:
        url = f"http://127.0.0.1:{self.port}/predictions/homefeed"
        answer = httpx.post(url, json={"user_id": "reader"}, trust_env=False, timeout=20).json()
        assert not answer["degraded"]
        return answer["model_version"]

    def stop(self) -> None:
        if state := read_state(self.work):
            os.kill(state.pid, signal.SIGTERM)
        deadline = time.monotonic() + MOST_SECONDS
        while read_state(self.work):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    return build_small_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def place(release: SmallRelease, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The first release, deployed."""
    place = Place(tmp_path_factory.mktemp("place"))
    place.store.publish(release.folder, "production")
    try:
        assert place.deploy(release.version).outcome == Outcome.DEPLOYED
        yield place
    finally:
        place.stop()


@pytest.fixture
def in_production(place: Place, release: SmallRelease) -> Iterator[str]:
    """The version that is served; it is in production again afterwards."""
    state = read_state(place.work)
    assert state is not None
    yield state.version
    place.store.point("production", release.version)
    place.deploy(release.version)


def test_a_first_release_is_served_and_asked(place: Place, release: SmallRelease) -> None:
    assert place.answers_from() == release.version
    report = place.report
    assert (report.before, report.why) == ("", "")
    assert [(each.user, each.num_pins, each.complaint) for each in report.answers] == [
        ("homefeed-smoke-test", 10, ""),
        ("reader", 10, ""),
    ]
    page = (place.folder / "report" / REPORT_FILE).read_text()
    assert f"{release.version}: deployed" in page


def test_what_is_deployed_already_is_left_alone(place: Place, in_production: str) -> None:
    before = read_state(place.work)
    done = place.deploy(in_production)
    assert done.outcome == Outcome.UNCHANGED
    assert done.changes == ""
    assert [each.complaint for each in done.answers] == ["", ""]
    assert read_state(place.work) == before


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    place: Place, release: SmallRelease, in_production: str, tmp_path: Path
) -> None:
    version = later(release.folder, tmp_path / "later")
    place.store.publish(tmp_path / "later", "production")
    before = read_state(place.work)
    done = place.deploy(version, dry_run=True)
    assert done.outcome == Outcome.DRY_RUN
    assert done.changes == f"-serves release {in_production}\n+serves release {version}"
    assert read_state(place.work) == before


def test_another_release_takes_the_place_of_the_first(
    place: Place, release: SmallRelease, in_production: str, tmp_path: Path
) -> None:
    version = later(release.folder, tmp_path / "later", seconds=180)
    place.store.publish(tmp_path / "later", "production")
    done = place.deploy(version)
    assert (done.outcome, done.before) == (Outcome.DEPLOYED, in_production)
    assert place.answers_from() == version


def test_a_release_that_fails_the_smoke_test_is_taken_back(
    place: Place, release: SmallRelease, in_production: str, tmp_path: Path
) -> None:
    version = degraded(release.folder, tmp_path / "degraded")
    place.store.publish(tmp_path / "degraded", "production")
    with pytest.raises(RuntimeError, match="the smoke test failed: .*degraded") as failure:
        place.deploy(version)
    assert f"serves {in_production} as before" in str(failure.value)
    assert place.answers_from() == in_production
    assert place.store.resolve("production") == in_production
    report = place.report
    assert report.outcome == Outcome.ROLLED_BACK
    assert all("degraded" in each.complaint for each in report.answers)
    assert report.steps[-1] == f"channel production stands for {in_production} again"
    assert "rolled back" in (place.folder / "report" / REPORT_FILE).read_text()


def test_a_release_that_nobody_can_find_to_ask_is_taken_back(
    place: Place,
    release: SmallRelease,
    in_production: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = later(release.folder, tmp_path / "later", seconds=210)
    place.store.publish(tmp_path / "later", "production")

    def no_answer(*_: object) -> NoReturn:
        raise RuntimeError("the cluster does not say")

    with monkeypatch.context() as patched:
        patched.setattr(LocalTarget, "urls", no_answer)
        with pytest.raises(RuntimeError, match="smoke test failed: the cluster does not say"):
            place.deploy(version)
    assert place.report.outcome == Outcome.ROLLED_BACK
    assert place.answers_from() == in_production


def test_a_damaged_release_never_ends_the_one_that_is_served(
    place: Place, release: SmallRelease, in_production: str, tmp_path: Path
) -> None:
    version = later(release.folder, tmp_path / "later", seconds=240)
    place.store.publish(tmp_path / "later", "production")
    path = Path(place.store.url) / "releases" / version / "user_tower.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = read_state(place.work)
    with pytest.raises(RuntimeError, match=r"user_tower\.pt .* has sha256"):
        place.deploy(version)
    assert read_state(place.work) == before
    assert place.report.outcome == Outcome.ROLLED_BACK
    assert "has sha256" in place.report.why


def test_a_second_deployment_at_the_same_time_is_refused(place: Place, in_production: str) -> None:
    with (place.work / LOCK_FILE).open("w") as held:
        held.write("process 42\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another deployment is at work .* by process 42"):
            place.deploy(in_production)
    assert place.report.outcome == Outcome.REFUSED

"""The real follower on stores in folders, and what it does when something is wrong."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homefeed.contracts import new_version
from homefeed.release.bundle import Release
from homefeed.release.refresh import Reason
from homefeed.release.store import ReleaseStore
from serving.follow_status import status_path
from serving.release_folder import ReleaseFolder
from tests.serving.fetching import Fetching
from tests.serving.follower_process import following
from tests.serving.index_sidecar.test_swap import (
    flip_a_bit,
    of_another_encoder,
    of_another_metric,
    of_another_schema,
    truncate,
)
from tests.serving.observing import wait_until
from tests.serving.refreshes import build_refreshes
from tests.serving.sidecar_process import running
from tests.serving.small_release import SmallRelease, build_small_release


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[SmallRelease]:
    return build_refreshes(tmp_path_factory.mktemp("refreshes"), 4)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def fetching(tmp_path: Path, store: Path) -> Fetching:
    """The fetch of a pod, which has not run yet."""
    return Fetching(tmp_path, f"file://{store}")


def publish(store: Path, release: SmallRelease) -> str:
    return ReleaseStore(f"file://{store}").publish(release.folder, "production")


@pytest.fixture
def pod(fetching: Fetching, store: Path, releases: list[SmallRelease]) -> ReleaseFolder:
    """The folder of a pod that has fetched the first release."""
    publish(store, releases[0])
    code, _ = fetching.run()
    assert code == 0
    return ReleaseFolder(fetching.to)


def held(pod: ReleaseFolder) -> set[str]:
    """Names of what lies in the pod's folder, but for what is always there."""
    names = {path.name for path in pod.link.parent.iterdir()}
    return names - {pod.link.name, status_path(pod.link).name}


def test_it_follows_the_channel_to_and_fro_and_keeps_the_release_before(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    second, third = (release.version for release in releases[1:3])
    with following(pod, f"file://{store}") as follower:
        for release in (*releases[1:3], releases[1]):
            publish(store, release)
            follower.wait_for(release.version)
            assert Release.open(pod.link.resolve()).version == release.version
        wait_until(
            lambda: held(pod) == {pod.of(second).name, pod.of(third).name}, "the oldest is gone"
        )
        assert follower.status.channel_version == second
        assert follower.status.reason is None
        assert follower.status.failures == {}


def test_a_release_that_it_has_is_not_fetched_again(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    with following(pod, f"file://{store}") as follower:
        follower.wait_for_looks()
        inode = pod.link.stat().st_ino
        publish(store, releases[1])
        follower.wait_for(releases[1].version)
        publish(store, releases[0])
        follower.wait_for(releases[0].version)
        assert pod.link.stat().st_ino == inode


def published_but_spoilt(store: Path, release: SmallRelease, spoil: Callable[[Path], None]) -> Path:
    """The store's copy of a release, in which something is wrong."""
    publish(store, release)
    copy = store / "releases" / release.version
    spoil(copy)
    return copy


@pytest.mark.parametrize(
    ("spoil", "reason"),
    {
        flip_a_bit: Reason.CORRUPT,
        truncate: Reason.CORRUPT,
        of_another_schema: Reason.SCHEMA,
        of_another_encoder: Reason.EMBEDDING_SPACE,
        of_another_metric: Reason.METRIC,
    }.items(),
    ids=lambda each: getattr(each, "__name__", each),
)
def test_what_is_wrong_is_refused_and_leaves_nothing_behind(
    pod: ReleaseFolder,
    store: Path,
    releases: list[SmallRelease],
    spoil: Callable[[Path], None],
    reason: Reason,
) -> None:
    old, broken, good = releases[:3]
    published_but_spoilt(store, broken, spoil)
    with following(pod, f"file://{store}") as follower:
        wait_until(lambda: follower.status.reason == reason, f"{reason} is told")
        follower.wait_for_looks()
        assert follower.status.refused_version == broken.version
        assert follower.status.failures.keys() == {reason}
        assert follower.status.failures[reason] > 1  # tried again, but said once
        assert follower.log().count('"event":"refused"') == 1
        assert pod.link.resolve() == pod.of(old.version).resolve()
        publish(store, good)
        follower.wait_for(good.version)
        wait_until(lambda: follower.status.reason is None, "nothing is refused")
    assert held(pod) == {pod.of(old.version).name, pod.of(good.version).name}


def test_another_model_is_refused_before_it_is_fetched(
    pod: ReleaseFolder, store: Path, tmp_path: Path
) -> None:
    other = build_small_release(tmp_path / "other", space="space-b")
    publish(store, other)
    shutil.rmtree(store / "releases" / other.version / "index")
    with following(pod, f"file://{store}") as follower:
        wait_until(lambda: follower.status.reason, "it is refused")
        # With the index it would lack a file.
        assert follower.status.reason == Reason.EMBEDDING_SPACE


def test_a_store_that_is_mended_is_taken_from_without_a_word(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    copy = published_but_spoilt(store, releases[1], flip_a_bit)
    with following(pod, f"file://{store}") as follower:
        wait_until(lambda: follower.status.reason == Reason.CORRUPT, "it is refused")
        flip_a_bit(copy)
        follower.wait_for(releases[1].version)


def test_a_store_that_is_gone_and_comes_back(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    away = store.with_name("away")
    with following(pod, f"file://{store}") as follower:
        follower.wait_for_looks(1)
        store.rename(away)
        wait_until(lambda: follower.status.reason == Reason.STORE, "the store is missed")
        read_at = follower.status.looked_at
        follower.wait_for_looks()
        assert follower.status.looked_at == read_at
        assert pod.link.resolve() == pod.of(releases[0].version).resolve()
        away.rename(store)
        publish(store, releases[1])
        follower.wait_for(releases[1].version)


def test_a_store_that_does_not_answer_holds_up_neither_the_end_nor_the_next_look(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    channel = store / "channels" / "production.json"
    channel.unlink()
    os.mkfifo(channel)  # a read of it waits until somebody writes
    with following(pod, f"file://{store}", "--timeout-seconds", "1") as follower:
        wait_until(lambda: follower.status.reason == Reason.STORE, "the store is given up")
        assert "no answer within 1 seconds" in follower.log()
        channel.unlink()
        publish(store, releases[1])
        follower.wait_for(releases[1].version)
        follower.process.send_signal(signal.SIGTERM)
        assert follower.process.wait(timeout=60) == 0


@contextmanager
def small_volume(at: Path, num_bytes: int) -> Iterator[None]:
    """A volume of a size, where this user may mount one."""
    at.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", at], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"needs to mount a volume: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


def test_a_full_disk_keeps_the_old_release_until_there_is_room(
    fetching: Fetching, store: Path, releases: list[SmallRelease]
) -> None:
    publish(store, releases[0])
    size = sum(file.stat().st_size for file in releases[0].folder.rglob("*") if file.is_file())
    with small_volume(fetching.to.parent, 4 * size):
        assert fetching.run()[0] == 0
        pod = ReleaseFolder(fetching.to)
        hog = pod.link.parent / "hog"
        hog.write_bytes(bytes(os.statvfs(hog.parent).f_bavail * 4096 - size // 2))
        publish(store, releases[1])
        with following(pod, f"file://{store}") as follower:
            wait_until(lambda: follower.status.reason == Reason.DISK, "the disk is full")
            follower.wait_for_looks()
            assert held(pod) == {pod.of(releases[0].version).name, hog.name}
            assert Release.open(pod.link.resolve()).version == releases[0].version
            hog.unlink()
            follower.wait_for(releases[1].version)


def test_what_a_killed_follower_left_is_removed(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    draft = pod.link.with_name(f".{pod.link.name}-killed")
    shutil.copytree(releases[1].folder, draft)
    draft.with_name(f".{pod.link.name}-link").symlink_to("nowhere")
    publish(store, releases[1])
    with following(pod, f"file://{store}") as follower:
        follower.wait_for(releases[1].version)
    assert held(pod) == {pod.of(release.version).name for release in releases[:2]}


def test_a_clock_that_jumps_changes_nothing(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease]
) -> None:
    with following(pod, f"file://{store}", wild_clock=True) as follower:
        for release in releases[1:]:
            publish(store, release)
            follower.wait_for(release.version)
        assert follower.status.failures == {}


def test_the_sidecar_tells_what_the_follower_sees_and_follows_it(
    pod: ReleaseFolder, store: Path, releases: list[SmallRelease], tmp_path: Path
) -> None:
    old, broken, good = (release.version for release in releases[:3])
    info, failures = "homefeed_release_refused_info", "homefeed_release_follow_failures_total"
    with running(pod.link, tmp_path / "s.sock") as sidecar:
        assert sidecar.metric("homefeed_release_channel_info") == 0  # nobody follows yet
        with following(pod, f"file://{store}"):
            channel = "homefeed_release_channel_info"
            wait_until(lambda: sidecar.metric(channel, version=old), "the channel is read")
            looked_at = sidecar.metric("homefeed_release_last_look_timestamp_seconds")
            published_but_spoilt(store, releases[1], flip_a_bit)
            wait_until(lambda: sidecar.metric(info, version=broken, reason="corrupt"), "a refusal")
            assert sidecar.metric(channel, version=broken) == 1
            assert sidecar.metric(failures, reason="corrupt") > 0
            assert sidecar.operations.get("/readyz").json()["index_version"] == old
            publish(store, releases[2])
            served = "homefeed_sidecar_index_info"
            wait_until(lambda: sidecar.metric(served, version=good), "the good one is served")
            wait_until(lambda: not sidecar.metric(info), "nothing is refused")
            assert sidecar.metric(failures, reason="corrupt") > 0
            assert sidecar.metric("homefeed_release_last_look_timestamp_seconds") > looked_at


def test_a_version_is_not_followed(pod: ReleaseFolder, store: Path) -> None:
    version = new_version(0, "0" * 8)
    with following(pod, f"file://{store}", "--channel", version) as follower:
        assert follower.process.wait(timeout=60) == 2
        assert "a version stays what it is" in follower.log()

"""A release of which a part was written, or removed, is none, wherever it broke off."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from tests.release.bare_release import write_bare_release
from tests.release.interrupted import WRITTEN, breaking_off_at, check_that_it_is_none
from tests.s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["local", "memory", "s3"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ReleaseStore:
    if request.param == "local":
        return ReleaseStore(str(tmp_path / "store"))
    if request.param == "s3":
        request.getfixturevalue("running").begin("homefeed", monkeypatch)
        return ReleaseStore("s3://homefeed/store")
    fsspec.filesystem("memory").store.clear()
    return ReleaseStore("memory://store")


@pytest.mark.parametrize("name", WRITTEN)
def test_an_upload_that_breaks_off_changes_nothing_and_is_finished_later(
    store: ReleaseStore, name: str, tmp_path: Path
) -> None:
    old = store.publish(write_bare_release(tmp_path / "old", 1000), "production")
    release = write_bare_release(tmp_path / "new", 2000)
    version = Release.open(release).version
    with breaking_off_at(store, name):
        store.publish(release, "production")
    assert store.resolve("production") == old
    assert store.channels() == ["production"]
    if name == "production.json":  # the release itself is whole
        assert store.versions() == [old, version]
    else:
        check_that_it_is_none(store, version, [old], tmp_path)
    assert store.publish(release, "production") == store.resolve("production") == version
    assert store.fetch(version, tmp_path / "here").manifest == Release.open(release).manifest


@pytest.mark.parametrize("name", WRITTEN[:3])
def test_a_first_upload_that_breaks_off_leaves_no_channel(
    store: ReleaseStore, name: str, tmp_path: Path
) -> None:
    release = write_bare_release(tmp_path / "release", 1000)
    with breaking_off_at(store, name):
        store.publish(release, "production")
    assert store.channels() == []
    check_that_it_is_none(store, Release.open(release).version, [], tmp_path)


def test_a_channels_file_that_was_damaged_is_named(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    versions = [
        store.publish(write_bare_release(tmp_path / str(time), time), "production")
        for time in (1000, 2000)
    ]
    (tmp_path / "store" / "channels" / "production.json").write_bytes(b"")
    complaint = r"channels/production\.json is no channel's file: .*; publish a release"
    with pytest.raises(ValueError, match=complaint):
        store.resolve("production")
    with pytest.raises(ValueError, match=complaint):
        store.prune(keep=1)
    assert store.versions() == versions
    assert store.publish(tmp_path / "2000", "production") == store.resolve("production")

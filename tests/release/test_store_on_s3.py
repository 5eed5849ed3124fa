"""What is published to S3, in which order, and what is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from tests.release.bare_release import write_bare_release
from tests.s3_server import S3Server, s3_server

FILES = ["index/vectors.npy", "user_tower.pt"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server with an empty bucket, which this process finds by its variables."""
    running.begin("homefeed", monkeypatch)
    return running


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_bare_release(tmp_path / "release", created_at=1000)


def test_what_is_published_is_fetched(s3: S3Server, release: Path, tmp_path: Path) -> None:
    store = ReleaseStore("s3://homefeed/store")
    version = store.publish(release, "production")
    assert store.versions() == [version]
    assert store.channels() == ["production"]
    fetched = store.fetch("production", tmp_path / "here")
    assert fetched.manifest == Release.open(release).manifest


def test_the_manifest_follows_its_files_and_the_channel_the_manifest(
    s3: S3Server, release: Path
) -> None:
    before = len(s3.written())
    version = ReleaseStore("s3://homefeed/store").publish(release, "production")
    *files, manifest, channel = s3.written()[before:]
    folder = f"/homefeed/store/releases/{version}"
    assert sorted(files) == [f"{folder}/{name}" for name in FILES]
    assert manifest == f"{folder}/manifest.json"
    assert channel == "/homefeed/store/channels/production.json"


def test_a_release_without_its_manifest_is_none(s3: S3Server, release: Path) -> None:
    store = ReleaseStore("s3://homefeed/store")
    version = store.publish(release, "production")
    s3.delete("homefeed", f"store/releases/{version}/manifest.json")
    assert store.versions() == []
    with pytest.raises(ValueError, match=f"no release '{version}'; it holds none"):
        store.resolve(version)


def test_no_bucket_is_made_of_a_misspelt_name(s3: S3Server, release: Path) -> None:
    with pytest.raises(FileNotFoundError, match="bucket does not exist"):
        ReleaseStore("s3://homefed/store").publish(release, "production")
    assert s3.buckets() == ["homefeed"]

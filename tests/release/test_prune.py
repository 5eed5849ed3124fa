"""Old releases and broken-off uploads leave the store, and nothing else does."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from homefeed import store as stores
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from tests.release.bare_release import write_bare_release
from tests.release.interrupted import (
    WRITTEN,
    BrokenOffError,
    breaking_off_at,
    check_that_it_is_none,
)
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


def publish(store: ReleaseStore, folder: Path, *created: int, channel: str = "latest") -> list[str]:
    return [
        store.publish(write_bare_release(folder / f"of {time}", time), channel) for time in created
    ]


def files_of(store: ReleaseStore) -> dict[str, int]:
    """Size of everything that is in the store, by the path below it."""
    files, root = fsspec.core.url_to_fs(store.url, use_listings_cache=False)
    found = files.find(root, detail=True)
    return {name.split("/store/", 1)[1]: info["size"] for name, info in found.items()}


def test_the_last_and_what_channels_stand_for_stay(store: ReleaseStore, tmp_path: Path) -> None:
    (oldest,) = publish(store, tmp_path, 1000, channel="production")
    (second,) = publish(store, tmp_path, 2000, channel="canary")
    third, fourth, fifth, sixth = publish(store, tmp_path, 3000, 4000, 5000, 6000)
    before = files_of(store)
    dry = list(store.prune(keep=2, also=[third], dry_run=True))
    assert [each.version for each in dry] == [fourth]
    assert files_of(store) == before
    assert list(store.prune(keep=2, also=[third])) == dry
    assert store.versions() == [oldest, second, third, fifth, sixth]
    assert [store.resolve(each) for each in store.channels()] == [second, sixth, oldest]
    gone = {name: size for name, size in before.items() if fourth in name}
    assert [(each.num_bytes, each.was_whole) for each in dry] == [(sum(gone.values()), True)]
    assert len(gone) == 3
    assert files_of(store) == {name: before[name] for name in before.keys() - gone.keys()}
    assert list(store.prune(keep=2, also=["canary"])) == [
        stores.Removed(third, dry[0].num_bytes, True)
    ]
    assert list(store.prune(keep=2)) == []
    check_that_it_is_none(store, fourth, [oldest, second, fifth, sixth], tmp_path)
    assert store.fetch("production", tmp_path / "here").version == oldest


@pytest.mark.parametrize("name", WRITTEN[:3])
def test_broken_off_uploads_go_when_they_are_old(
    store: ReleaseStore, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = publish(store, tmp_path, 2000)
    release = write_bare_release(tmp_path / "release", 1000)
    with breaking_off_at(store, name):
        store.publish(release, "latest")
    before = files_of(store)
    assert list(store.prune(keep=1)) == []
    assert files_of(store) == before
    monkeypatch.setattr(stores, "UPLOAD_SECONDS", -60)  # as it is a day later
    version = Release.open(release).version
    left = {path: size for path, size in before.items() if version in path}
    removed = list(store.prune(keep=1))
    if left or "://" not in store.url:  # a folder without files is one on a file system alone
        assert removed == [stores.Removed(version, sum(left.values()), False)]
    assert files_of(store) == {path: before[path] for path in before.keys() - left.keys()}
    assert store.versions() == [kept]


def test_an_upload_counts_from_its_latest_file(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    publish(store, tmp_path, 2000)
    release = write_bare_release(tmp_path / "release", 1000)
    with breaking_off_at(store, "manifest.json"):
        store.publish(release, "latest")
    version = Release.open(release).version
    folder = tmp_path / "store" / "releases" / version
    yesterday = time.time() - stores.UPLOAD_SECONDS - 60
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files[1:]:
        os.utime(path, (yesterday, yesterday))
    assert list(store.prune(keep=1)) == []
    os.utime(files[0], (yesterday, yesterday))
    assert [each.version for each in store.prune(keep=1)] == [version]
    assert not folder.exists()


def test_what_is_removed_in_part_is_none_and_goes_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").store.clear()
    store = ReleaseStore("memory://store")
    old, new = publish(store, tmp_path, 1000, 2000)

    def break_off(*arguments: object, **options: object) -> None:
        raise BrokenOffError

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "rm", break_off)
        with pytest.raises(BrokenOffError):
            list(store.prune(keep=1))
    check_that_it_is_none(store, old, [new], tmp_path)
    assert any(old in name for name in files_of(store))
    monkeypatch.setattr(stores, "UPLOAD_SECONDS", -60)
    assert [each.version for each in store.prune(keep=1)] == [old]
    assert not any(old in name for name in files_of(store))


def test_a_release_that_a_channel_is_pointed_back_to_meanwhile_stays(
    store: ReleaseStore, tmp_path: Path
) -> None:
    first, second, third = publish(store, tmp_path, 1000, 2000, 3000)
    pruning = store.prune(keep=1)
    assert next(pruning).version == first
    store.publish(tmp_path / "of 2000", "production")
    assert list(pruning) == []
    assert store.versions() == [second, third]


def test_who_publishes_what_is_pruned_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").store.clear()
    store = ReleaseStore("memory://store")
    old, _ = publish(store, tmp_path, 1000, 2000)
    pipe_file = MemoryFileSystem.pipe_file

    def pipe_after_pruning(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        assert [each.version for each in store.prune(keep=1)] == [old]
        pipe_file(*arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_after_pruning)
    with pytest.raises(ValueError, match=f"release {old} was pruned .*: publish it again"):
        store.publish(tmp_path / "of 1000", "production")
    assert store.publish(tmp_path / "of 1000", "production") == old


def test_what_is_not_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    publish(store, tmp_path, 1000, 2000)
    foreign = tmp_path / "store" / "releases" / "notes" / "manifest.json"
    foreign.parent.mkdir()
    foreign.write_text("{}")
    monkeypatch.setattr(stores, "UPLOAD_SECONDS", -60)
    assert len(list(store.prune(keep=1))) == 1
    assert foreign.exists()


@pytest.mark.parametrize("keep", [0, -1])
def test_one_must_stay(tmp_path: Path, keep: int) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    versions = publish(store, tmp_path, 1000)
    with pytest.raises(ValueError, match=f"keep={keep} must be at least 1"):
        list(store.prune(keep))
    assert store.versions() == versions


def test_a_name_that_is_not_there_removes_nothing(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    versions = publish(store, tmp_path, 1000, 2000)
    with pytest.raises(ValueError, match="no channel 'prodction'; it holds latest"):
        store.prune(keep=1, also=["prodction"])
    assert store.versions() == versions


def test_an_empty_store_has_nothing_to_remove(store: ReleaseStore) -> None:
    assert list(store.prune(keep=1)) == []

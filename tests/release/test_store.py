import json
import shutil
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from homefeed.contracts import MANIFEST_FILE
from homefeed.release.bundle import Release
from homefeed.release.store import Channel, ReleaseStore
from tests.release.bare_release import write_bare_release


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    if request.param == "local":
        return ReleaseStore(str(tmp_path / "store"))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    return ReleaseStore("memory://store")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_bare_release(tmp_path / "old", created_at=1000)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_bare_release(tmp_path / "new", created_at=2000)


def test_what_is_published_is_fetched(store: ReleaseStore, old: Path, tmp_path: Path) -> None:
    version = store.publish(old, "production")
    assert store.resolve("production") == store.resolve(version) == version
    fetched = store.fetch("production", tmp_path / "here" / "release")
    assert fetched == Release.open(tmp_path / "here" / "release")
    assert fetched.manifest == Release.open(old).manifest
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["release"]


def test_a_channel_moves_on_and_back(store: ReleaseStore, old: Path, new: Path) -> None:
    first, second = store.publish(old, "production"), store.publish(new, "production")
    assert store.resolve("production") == second
    assert store.publish(old, "production") == first
    assert store.resolve("production") == first
    assert store.versions() == [first, second]
    assert store.channels() == ["production"]


def test_a_channel_is_pointed_back_to_what_the_store_holds_alone(
    store: ReleaseStore, old: Path, new: Path
) -> None:
    first, second = store.publish(old, "production"), store.publish(new, "production")
    with pytest.raises(ValueError, match=f"stands for release {second} by now"):
        store.point("production", first, replaces="20200101T000000Z-00000000")
    assert store.point("production", first, replaces=second) == first
    assert store.resolve("production") == first
    with pytest.raises(ValueError, match="holds no release '20200101T000000Z-00000000'"):
        store.point("production", "20200101T000000Z-00000000")
    with pytest.raises(ValueError, match="channel '../production' is no name"):
        store.point("../production", second)
    assert store.resolve("production") == first


def test_a_channel_takes_what_another_stands_for(store: ReleaseStore, old: Path, new: Path) -> None:
    store.publish(old, "production")
    candidate = store.publish(new, "canary")
    assert store.point("production", "canary") == candidate
    assert store.resolve("production") == candidate


def test_unknown_names_say_what_there_is(store: ReleaseStore, old: Path) -> None:
    with pytest.raises(ValueError, match="no channel 'production'; it holds none"):
        store.resolve("production")
    version = store.publish(old, "staging")
    with pytest.raises(ValueError, match="no channel 'production'; it holds staging"):
        store.resolve("production")
    with pytest.raises(ValueError, match=f"no release '20.*'; it holds {version}"):
        store.resolve("20260101T000000Z-00000000")


def test_of_many_releases_the_newest_are_named(store: ReleaseStore, tmp_path: Path) -> None:
    for hour in range(7):
        store.publish(write_bare_release(tmp_path / f"{hour}", 3600 * hour), f"channel-{hour}")
    newest_first = store.versions()[::-1]
    with pytest.raises(ValueError) as of_version:
        store.resolve("20260101T000000Z-00000000")
    assert str(of_version.value).endswith(f"; it holds {', '.join(newest_first[:5])} and 2 more")
    with pytest.raises(ValueError, match=r"; it holds channel-0, .*, channel-4 and 2 more$"):
        store.resolve("production")


def test_a_release_replaces_the_one_that_it_was_made_from(
    store: ReleaseStore, old: Path, new: Path
) -> None:
    first = store.publish(old, "production")
    second = store.publish(new, "production", replaces=first)
    assert store.resolve("production") == second
    # Who tries again finds the channel moved on by its own first try.
    assert store.publish(new, "production", replaces=first) == second


def test_a_release_that_was_published_meanwhile_stays_in_its_channel(
    store: ReleaseStore, old: Path, new: Path, tmp_path: Path
) -> None:
    first, meanwhile = store.publish(old, "production"), store.publish(new, "production")
    later = write_bare_release(tmp_path / "later", created_at=3000)
    version = Release.open(later).version
    with pytest.raises(ValueError) as error:
        store.publish(later, "production", replaces=first)
    assert str(error.value) == (
        f"channel 'production' of {store.url} stands for release {meanwhile} by now; release "
        f"{version} was made to replace {first}, so {meanwhile} would be lost to it: run its "
        f"pipeline again, which then starts from {meanwhile}"
    )
    assert store.resolve("production") == meanwhile
    assert store.versions() == [first, meanwhile]
    with pytest.raises(ValueError, match="no channel 'staging'; it holds production"):
        store.publish(later, "staging", replaces=first)


def test_a_release_that_is_published_during_the_upload_stays_in_its_channel(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").store.clear()
    store = ReleaseStore("memory://store")
    first = store.publish(old, "production")
    put_file = MemoryFileSystem.put_file

    def put_after_another(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        store.publish(new, "production")
        put_file(*arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "put_file", put_after_another)
    later = write_bare_release(tmp_path / "later", created_at=3000)
    with pytest.raises(ValueError, match=f"made to replace {first}"):
        store.publish(later, "production", replaces=first)
    assert store.resolve("production") == Release.open(new).version


@pytest.mark.parametrize("name", ["", "../up", "Up", "a/b", "20260101T000000Z-00000000"])
def test_channels_have_plain_names(store: ReleaseStore, old: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        store.publish(old, name)


def test_a_published_release_is_never_changed(
    store: ReleaseStore, old: Path, tmp_path: Path
) -> None:
    store.publish(old, "production")
    other = write_bare_release(tmp_path / "other", created_at=1000, contents="another tower")
    with pytest.raises(ValueError, match="holds another release .*never changed"):
        store.publish(other, "production")


def test_a_broken_release_is_not_published(store: ReleaseStore, old: Path) -> None:
    (old / "user_tower.pt").write_text("changed")
    with pytest.raises(ValueError, match=r"user_tower\.pt of release .* has sha256"):
        store.publish(old, "production")
    assert store.versions() == store.channels() == []


def test_an_interrupted_upload_is_no_release_and_is_finished(tmp_path: Path, old: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    remote = tmp_path / "store" / "releases" / Release.open(old).version
    (remote / "index").mkdir(parents=True)
    (remote / "index" / "vectors.npy").write_text("vec")
    assert store.versions() == []
    version = store.publish(old, "production")
    assert store.fetch(version, tmp_path / "here").version == version


def test_what_was_damaged_in_the_store_does_not_appear(tmp_path: Path, old: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    version = store.publish(old, "production")
    (tmp_path / "store" / "releases" / version / "user_tower.pt").write_text("damaged")
    with pytest.raises(ValueError, match=r"user_tower\.pt of release .* has sha256"):
        store.fetch("production", tmp_path / "here" / "release")
    assert list((tmp_path / "here").iterdir()) == []


def test_some_files_are_fetched_without_the_rest(
    store: ReleaseStore, old: Path, tmp_path: Path
) -> None:
    version = store.publish(old, "production")
    found = store.fetch_files("production", ["user_tower.pt"], tmp_path / "here")
    assert found.version == version
    assert (tmp_path / "here" / "user_tower.pt").read_text() == "tower"
    names = [path.name for path in (tmp_path / "here").rglob("*")]
    assert sorted(names) == ["manifest.json", "user_tower.pt"]


def test_a_fetched_release_is_kept_but_never_replaced(
    store: ReleaseStore, old: Path, new: Path, tmp_path: Path
) -> None:
    store.publish(old, "production")
    (tmp_path / "here").mkdir()
    held = store.fetch("production", tmp_path / "here")
    assert store.fetch("production", tmp_path / "here") == held
    version = store.publish(new, "production")
    with pytest.raises(ValueError, match=f"holds release {held.version}, not {version}"):
        store.fetch("production", tmp_path / "here")
    shutil.rmtree(tmp_path / "here" / "index")
    with pytest.raises(ValueError, match=r"vectors\.npy: fetch it again"):
        store.fetch("production", tmp_path / "here")


@pytest.mark.parametrize("version", ["..", "../../secrets", "/etc", "20260101T000000Z-00000000/.."])
def test_a_channel_that_leads_out_of_the_store_is_refused(
    store: ReleaseStore, old: Path, tmp_path: Path, version: str
) -> None:
    store.publish(old, "production")
    files, root = fsspec.core.url_to_fs(store.url)
    channel = Channel(version, "2026-01-01T00:00:00+00:00")
    files.pipe_file(f"{root}/channels/production.json", msgspec.json.encode(channel))
    with pytest.raises(ValueError, match=r"production\.json is no channel's file: .*\.version"):
        store.fetch("production", tmp_path / "here" / "release")
    assert not (tmp_path / "here").exists()


def test_of_a_release_that_leads_out_of_its_folder_nothing_is_fetched(
    store: ReleaseStore, old: Path, tmp_path: Path
) -> None:
    version = store.publish(old, "production")
    files, root = fsspec.core.url_to_fs(store.url)
    path = f"{root}/releases/{version}/{MANIFEST_FILE}"
    manifest = json.loads(files.cat_file(path))
    manifest["files"]["../../escaped"] = manifest["files"]["user_tower.pt"]
    files.pipe_file(path, json.dumps(manifest).encode())
    files.pipe_file(f"{root}/escaped", b"tower")
    with pytest.raises(ValueError, match="'../../escaped', which leads out of the release"):
        store.fetch("production", tmp_path / "here" / "release")
    assert list((tmp_path / "here").iterdir()) == []

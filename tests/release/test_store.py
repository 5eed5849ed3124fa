import shutil
from pathlib import Path

import fsspec
import pytest

from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
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


def test_unknown_names_say_what_there_is(store: ReleaseStore, old: Path) -> None:
    with pytest.raises(ValueError, match="no channel 'production'; it holds none"):
        store.resolve("production")
    version = store.publish(old, "staging")
    with pytest.raises(ValueError, match="no channel 'production'; it holds staging"):
        store.resolve("production")
    with pytest.raises(ValueError, match=f"no release '20.*'; it holds {version}"):
        store.resolve("20260101T000000Z-00000000")


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

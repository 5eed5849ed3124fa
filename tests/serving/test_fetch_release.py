"""The real command on stores in folders."""

import os
from pathlib import Path

import pytest

from homefeed.contracts import new_version
from homefeed.release.bundle import Release
from tests.serving.fetching import Fetching


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path, f"file://{tmp_path}/store")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "store"


def test_a_release_is_fetched_by_channel_and_by_version(fetching: Fetching) -> None:
    old, new = fetching.publish(1000), fetching.publish(2000)
    for name, version in (("production", new), (old, old)):
        code, (line,) = fetching.run(version=name)
        assert code == 0
        assert (line["event"], line["version"]) == ("fetched", version)
        assert Release.open(fetching.to).version == version
    assert fetching.termination_log.read_text() == ""


@pytest.mark.parametrize("name", ["user_tower.pt", "index/vectors.npy"])
def test_a_broken_file_is_named_and_nothing_appears(
    fetching: Fetching, store: Path, name: str
) -> None:
    version = fetching.publish(1000)
    path = store / "releases" / version / name
    flipped = bytearray(path.read_bytes())
    flipped[0] ^= 1
    path.write_bytes(flipped)
    reason = fetching.refused()
    assert f"/{name} of release {version} has sha256" in reason
    assert reason.endswith("the store's copy is damaged: name another release")
    assert list(fetching.to.parent.iterdir()) == []


def test_a_missing_file_is_named(fetching: Fetching, store: Path) -> None:
    version = fetching.publish(1000)
    (store / "releases" / version / "index" / "vectors.npy").unlink()
    reason = fetching.refused()
    assert f"releases/{version}/index/vectors.npy" in reason


def test_what_the_store_lacks_is_named_beside_what_it_holds(fetching: Fetching) -> None:
    assert "no channel 'production'; it holds none" in fetching.refused()
    version = fetching.publish(1000)
    assert "no channel 'staging'; it holds production" in fetching.refused(version="staging")
    other = new_version(5000, "0" * 8)
    assert f"no release '{other}'; it holds {version}" in fetching.refused(version=other)


def test_a_store_of_an_unknown_kind_is_named(fetching: Fetching) -> None:
    assert "cannot be fetched from ftps3://b: " in fetching.refused("--store", "ftps3://b")


def test_a_store_that_cannot_be_read_is_not_taken_for_an_empty_one(
    fetching: Fetching, store: Path
) -> None:
    store.mkdir()
    (store / "channels").symlink_to("channels")
    reason = fetching.refused()
    assert "Too many levels of symbolic links" in reason
    assert "release.store and release.env say where the store is" in reason


def test_a_pod_that_starts_again_follows_the_channel(fetching: Fetching) -> None:
    first = fetching.publish(1000)
    assert fetching.run()[1][0]["version"] == first
    inode = fetching.to.stat().st_ino
    assert fetching.run()[1][0]["version"] == first
    assert fetching.to.stat().st_ino == inode  # kept, not fetched again
    second = fetching.publish(2000)
    assert fetching.run()[1][0]["version"] == second
    assert Release.open(fetching.to).version == second


def test_what_an_earlier_start_left_broken_is_fetched_again(fetching: Fetching) -> None:
    version = fetching.publish(1000)
    fetching.run()
    (fetching.to / "user_tower.pt").write_text("half")
    draft = fetching.to.parent / ".current-killed"
    draft.mkdir()
    assert fetching.run()[0] == 0
    assert Release.open(fetching.to).version == version
    assert not draft.exists()


def test_a_folder_of_something_else_is_left_alone(fetching: Fetching) -> None:
    fetching.publish(1000)
    fetching.to.mkdir(parents=True)
    (fetching.to / "mine.txt").write_text("mine")
    assert "no manifest.json" in fetching.refused()
    assert (fetching.to / "mine.txt").read_text() == "mine"


def test_a_store_that_does_not_answer_is_given_up(fetching: Fetching, store: Path) -> None:
    fetching.publish(1000)
    channel = store / "channels" / "production.json"
    channel.unlink()
    os.mkfifo(channel)  # a read of it waits until somebody writes
    assert "RuntimeError: no answer within 1 seconds" in fetching.refused("--timeout-seconds", "1")


def test_a_release_that_takes_too_long_is_given_up(fetching: Fetching) -> None:
    fetching.publish(1000)
    fetching.run()
    os.truncate(fetching.to / "user_tower.pt", 1 << 40)  # sparse, but as long to read as any other
    assert "RuntimeError: not done within 1 seconds" in fetching.refused("--timeout-seconds", "1")


def test_it_works_outside_of_a_container(fetching: Fetching) -> None:
    fetching.termination_log.unlink()
    code, (line,) = fetching.run()
    assert code == 1
    assert "it holds none" in line["reason"]
    assert not fetching.termination_log.exists()

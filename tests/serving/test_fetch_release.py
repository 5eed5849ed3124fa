"""The real command on stores in folders."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homefeed.contracts import write_manifest
from homefeed.release.bundle import RELEASE, Release, ReleaseManifest, new_version
from homefeed.release.store import ReleaseStore


class Fetching:
    """A store, the folder of a pod, and the command between them."""

    def __init__(self, root: Path) -> None:
        self.store = root / "store"
        self.to = root / "pod" / "current"
        self.termination_log = root / "termination-log"
        self.termination_log.touch()

    def publish(self, created_at: int) -> str:
        """Publishes another release to the channel `production`."""
        folder = self.store.parent / f"release-{created_at}"
        (folder / "index").mkdir(parents=True)
        (folder / "user_tower.pt").write_text(f"tower of {created_at}")
        (folder / "index" / "vectors.npy").write_text("vectors")
        manifest = ReleaseManifest(
            kind=RELEASE,
            version=new_version(created_at, "0" * 8),
            embedding_space="space",
            created_at=created_at,
        )
        write_manifest(folder, manifest)
        return ReleaseStore(str(self.store)).publish(folder, "production")

    def run(self, *options: str, version: str = "production") -> tuple[int, dict[str, Any]]:
        """Exit code, and the last line of the log."""
        command = [sys.executable, "-m", "serving.fetch_release"]
        command += ["--store", f"file://{self.store}", "--version", version, "--to", str(self.to)]
        command += ["--termination-log", str(self.termination_log), *options]
        finished = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        return finished.returncode, json.loads(finished.stderr.splitlines()[-1])

    def refused(self, *options: str, version: str = "production") -> str:
        """Why it fails: the log and the termination message say the same."""
        code, line = self.run(*options, version=version)
        assert code == 1
        assert (line["level"], line["event"]) == ("error", "cannot fetch")
        assert self.termination_log.read_text() == line["reason"]
        return line["reason"]


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path)


def test_a_release_is_fetched_by_channel_and_by_version(fetching: Fetching) -> None:
    old, new = fetching.publish(1000), fetching.publish(2000)
    for name, version in (("production", new), (old, old)):
        code, line = fetching.run(version=name)
        assert code == 0
        assert (line["event"], line["version"]) == ("fetched", version)
        assert Release.open(fetching.to).version == version
    assert fetching.termination_log.read_text() == ""


@pytest.mark.parametrize("name", ["user_tower.pt", "index/vectors.npy"])
def test_a_broken_file_is_named_and_nothing_appears(fetching: Fetching, name: str) -> None:
    version = fetching.publish(1000)
    path = fetching.store / "releases" / version / name
    flipped = bytearray(path.read_bytes())
    flipped[0] ^= 1
    path.write_bytes(flipped)
    reason = fetching.refused()
    assert f"/{name} of release {version} has sha256" in reason
    assert list(fetching.to.parent.iterdir()) == []


def test_a_missing_file_is_named(fetching: Fetching) -> None:
    version = fetching.publish(1000)
    (fetching.store / "releases" / version / "index" / "vectors.npy").unlink()
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


def test_a_pod_that_starts_again_follows_the_channel(fetching: Fetching) -> None:
    first = fetching.publish(1000)
    assert fetching.run()[1]["version"] == first
    inode = fetching.to.stat().st_ino
    assert fetching.run()[1]["version"] == first
    assert fetching.to.stat().st_ino == inode  # kept, not fetched again
    second = fetching.publish(2000)
    assert fetching.run()[1]["version"] == second
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


def test_a_store_that_does_not_answer_is_given_up(fetching: Fetching) -> None:
    fetching.publish(1000)
    channel = fetching.store / "channels" / "production.json"
    channel.unlink()
    os.mkfifo(channel)  # a read of it waits until somebody writes
    assert "TimeoutError: not done within 1 seconds" in fetching.refused("--timeout-seconds", "1")


def test_it_works_outside_of_a_container(fetching: Fetching) -> None:
    fetching.termination_log.unlink()
    code, line = fetching.run()
    assert code == 1
    assert "it holds none" in line["reason"]
    assert not fetching.termination_log.exists()

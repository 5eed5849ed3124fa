import json
import shutil
from pathlib import Path

import msgspec
import pytest

from homefeed.contracts import MANIFEST_FILE, Window
from homefeed.data_checks.layout import DATA_PROFILE, Profile
from homefeed.release.previous import fetch_profile, find_version
from homefeed.release.store import ReleaseStore
from tests.release.published import Published, publish

PROFILE = Profile(
    window=Window(0, 10),
    num_engagements=3,
    num_users=2,
    num_pins=1,
    columns={},
    num_rejected={},
    duplicate_share=0.0,
    early_share=0.0,
    volume=3.0,
    usual_gap_hours=1.0,
    largest_gap_hours=1.0,
    largest_gap_start=0,
    actions={"click": 1.0},
    surfaces={"home": 1.0},
    known_pin_share=None,
    known_user_share=1.0,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("published"))


def publish_with(published: Published, folder: Path, profile: object) -> str:
    """The URL of a store with the release, whose manifest has this profile."""
    shutil.copytree(published.release, folder / "release")
    path = folder / "release" / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    manifest["details"][DATA_PROFILE] = msgspec.to_builtins(profile)
    path.write_text(json.dumps(manifest))
    ReleaseStore(str(folder / "store")).publish(folder / "release", "production")
    return str(folder / "store")


def test_the_profile_of_the_release_in_production(published: Published, tmp_path: Path) -> None:
    url = publish_with(published, tmp_path, PROFILE)
    version = find_version(url, "production")
    assert version == published.version
    assert fetch_profile(url, version) == PROFILE


def test_without_a_release_there_is_nothing_to_compare_with(
    published: Published, tmp_path: Path
) -> None:
    for store, channel in (
        ("", "production"),
        (published.url, ""),
        (published.url, "staging"),
        (str(tmp_path / "empty"), "production"),
    ):
        assert find_version(store, channel) == ""
        assert fetch_profile(store, "") is None
    # Made before releases had profiles.
    assert fetch_profile(published.url, published.version) is None


def test_a_profile_of_another_version_is_said_and_left_aside(
    published: Published, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url = publish_with(published, tmp_path, {"num_rows": 3})
    assert fetch_profile(url, published.version) is None
    assert f"release {published.version}, made by homefeed " in capfd.readouterr().err

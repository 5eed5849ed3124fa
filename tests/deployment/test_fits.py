"""What is refused before anything is changed: releases that no pod could serve, mixed channels."""

import json
import shutil
from pathlib import Path

import pytest

from homefeed.contracts import MANIFEST_FILE
from homefeed.deployment.fits import check_fits, check_way_back
from homefeed.release.bundle import INDEX_FOLDER
from homefeed.release.store import ReleaseStore
from tests.deployment.broken import later, sign_anew
from tests.serving.small_release import SmallRelease, build_small_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    return build_small_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def store(release: SmallRelease, tmp_path: Path) -> ReleaseStore:
    store = ReleaseStore(str(tmp_path / "store"))
    store.publish(release.folder, "production")
    return store


def test_a_release_that_fits_is_known_by_its_manifest(
    store: ReleaseStore, release: SmallRelease
) -> None:
    manifest = check_fits(store.url, release.version, "production")
    assert (manifest.version, manifest.metrics["num_pins"]) == (release.version, 300)
    assert check_fits(store.url, release.version, "") == manifest


def test_two_releases_in_one_channel_are_refused_by_name(
    store: ReleaseStore, release: SmallRelease, tmp_path: Path
) -> None:
    other = later(release.folder, tmp_path / "later")
    store.publish(tmp_path / "later", "production")
    with pytest.raises(ValueError, match="two releases would be in production") as refused:
        check_fits(store.url, release.version, "production")
    assert other in str(refused.value)
    assert release.version in str(refused.value)


def test_an_index_of_other_towers_is_refused_with_both_spaces(
    store: ReleaseStore, release: SmallRelease, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(release.folder, tmp_path / "mixed"))
    path = copy / INDEX_FOLDER / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    space = manifest["details"]["embedding_space"]
    manifest["details"]["embedding_space"] = "of other towers"
    path.write_text(json.dumps(manifest))
    version = sign_anew(copy, 60)
    store.publish(copy, "production")
    with pytest.raises(ValueError, match=f"release {version} cannot be deployed") as refused:
        check_fits(store.url, version, "production")
    assert f"'of other towers'; {space!r} is needed" in str(refused.value)


def test_another_schema_is_refused_with_both_versions(
    store: ReleaseStore, release: SmallRelease
) -> None:
    path = Path(store.url) / "releases" / release.version / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "schema_version": 7}))
    with pytest.raises(ValueError, match="has schema version 7; this homefeed reads 1") as refused:
        check_fits(store.url, release.version, "production")
    assert f"{store.url}/releases/{release.version}" in str(refused.value)


def test_pods_that_follow_the_channel_leave_no_way_back() -> None:
    with pytest.raises(ValueError, match="home follows channel 'production'"):
        check_way_back("production", "home", "production")
    for before, channel in (("", "production"), ("canary", "production"), ("", "")):
        check_way_back(before, "home", channel)

from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.publish_release.component import publish_release
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from tests.release.bare_release import write_bare_release
from tests.serving.small_release import build_small_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dsl.Model:
    folder = build_small_release(tmp_path_factory.mktemp("release")).folder
    return dsl.Model("release", str(folder), {"version": Release.open(folder).version})


def publish(release: dsl.Model, store: str, channel: str = "production", replaces: str = "") -> str:
    component: Any = publish_release
    return component.python_func(release, store, channel, replaces)


def test_the_channel_then_stands_for_the_release(release: dsl.Model, tmp_path: Path) -> None:
    store = (tmp_path / "store").as_uri()
    version = publish(release, store)
    assert version == release.metadata["version"]
    fetched = ReleaseStore(store).fetch("production", tmp_path / "fetched")
    assert fetched.version == version
    # A step that is tried again finds its release there.
    assert publish(release, store, "canary") == version
    assert ReleaseStore(store).channels() == ["canary", "production"]


def test_a_release_that_was_published_meanwhile_is_not_pushed_out(
    release: dsl.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    taken, meanwhile = (
        store.publish(write_bare_release(tmp_path / str(time), time), "production")
        for time in (1000, 2000)
    )
    with pytest.raises(SystemExit):
        publish(release, store.url, replaces=taken)
    assert capfd.readouterr().out.startswith(
        f"publish_release failed: channel 'production' of {store.url} stands for release "
        f"{meanwhile} by now"
    )
    assert store.resolve("production") == meanwhile
    assert publish(release, store.url, replaces=meanwhile) == store.resolve("production")


def test_without_a_store_nothing_is_published_and_it_is_said(
    release: dsl.Model, capfd: pytest.CaptureFixture[str]
) -> None:
    assert publish(release, "") == ""
    said = f"no store is given: release {release.metadata['version']} is not published\n"
    assert said in capfd.readouterr().err


def test_a_channel_that_is_no_name_is_refused(
    release: dsl.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        publish(release, tmp_path.as_uri(), "Production 1")
    assert capfd.readouterr().out.startswith(
        "publish_release failed: channel 'Production 1' is no name"
    )
    assert list(tmp_path.iterdir()) == []

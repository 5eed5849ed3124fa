"""What is said of a store before anything is made for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem

from components.check_store.component import check_store
from homefeed.release.store import ReleaseStore
from tests.release.bare_release import write_bare_release
from tests.s3_server import S3Server, s3_server

URL = "s3://homefeed/store"
SECRET = "the Secret store-keys, which holds KEY_ID"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server with an empty bucket, which this process finds by its variables."""
    running.begin("homefeed", monkeypatch)
    return running


def check(store: str) -> None:
    component: Any = check_store
    component.python_func(store, SECRET)


def refusal(store: str, capfd: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        check(store)
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    start = f"check_store failed: the store {store} cannot be listed: "
    assert said.out.startswith(start)
    assert f"They come from {SECRET}. Then run the pipeline again" in said.out
    return said.out.removeprefix(start)


def test_a_store_is_taken_empty_or_not_and_nothing_is_written(s3: S3Server, tmp_path: Path) -> None:
    check(URL)
    assert s3.written()[-1:] == ["/homefeed"]  # the bucket itself
    ReleaseStore(URL).publish(write_bare_release(tmp_path / "release", created_at=1000), "canary")
    check(URL)


def test_no_store_and_a_folder_that_is_yet_to_be_made_are_taken(tmp_path: Path) -> None:
    check("")
    check((tmp_path / "store").as_uri())
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_was_misspelt_is_refused(
    s3: S3Server, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refusal("s3://homefed/store", capfd)
    assert said.startswith("FileNotFoundError: The specified bucket does not exist. Check its URL")


def test_wrong_keys_are_refused(s3: S3Server, capfd: pytest.CaptureFixture[str]) -> None:
    s3.demand_keys()
    S3FileSystem.clear_instance_cache()
    assert refusal(URL, capfd).startswith("PermissionError: The AWS Access Key Id you provided")


def test_keys_that_are_not_there_are_missed(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # Nor is a cloud asked for a role, which takes long where there is none.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    S3FileSystem.clear_instance_cache()
    assert refusal(URL, capfd).startswith("NoCredentialsError: Unable to locate credentials")


def test_a_url_of_no_known_kind_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert refusal("s4://homefeed", capfd).startswith("ValueError: Protocol not known: s4")

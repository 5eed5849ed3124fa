"""The real command on a store in S3, and what it says when that cannot be read."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from homefeed.release.bundle import Release
from serving.local import free_ports
from tests.s3_server import Keys, S3Server, s3_server
from tests.serving.fetching import Fetching

STORE = "s3://homefeed/store"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server with an empty bucket, which this process and its children find."""
    running.begin("homefeed", monkeypatch)
    return running


@pytest.fixture
def fetching(s3: S3Server, tmp_path: Path) -> Fetching:
    return Fetching(tmp_path, STORE)


def test_a_release_is_fetched(fetching: Fetching) -> None:
    version = fetching.publish(1000)
    code, lines = fetching.run()
    assert code == 0
    assert lines[-1]["version"] == version
    assert Release.open(fetching.to).version == version


def test_an_object_with_a_flipped_bit_is_named(fetching: Fetching, s3: S3Server) -> None:
    version = fetching.publish(1000)
    s3.flip_a_bit("homefeed", f"store/releases/{version}/index/vectors.npy")
    reason = fetching.refused()
    assert f"index/vectors.npy of release {version} has sha256" in reason
    assert list(fetching.to.parent.iterdir()) == []


def test_a_missing_bucket_reads_as_a_store_that_holds_nothing(
    fetching: Fetching, s3: S3Server
) -> None:
    reason = fetching.refused("--store", "s3://homefed/store")
    assert (
        "s3://homefed/store holds no channel 'production'; it holds none: check the URL" in reason
    )


def test_keys_that_the_store_does_not_take(fetching: Fetching, s3: S3Server) -> None:
    fetching.publish(1000)
    keys = s3.demand_keys()
    wrong = keys._replace(secret_key="wrong")
    for given, complaint in (
        (wrong, "PermissionError: The request signature"),
        (Keys("unknown", "wrong"), "PermissionError: The AWS Access Key Id"),
    ):
        reason = fetching.refused(variables=s3.environment(given))
        assert f"cannot be fetched from {STORE}: {complaint}" in reason
        assert "release.credentialsSecret who reads it" in reason
    code, _ = fetching.run(variables=s3.environment(keys))
    assert code == 0


def test_no_keys_at_all(fetching: Fetching) -> None:
    none = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    reason = fetching.refused(variables=none)
    assert "NoCredentialsError" in reason
    assert "release.credentialsSecret who reads it" in reason


def test_an_endpoint_where_nothing_listens(fetching: Fetching) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    reason = fetching.refused(variables={"AWS_ENDPOINT_URL": url})
    assert f'Could not connect to the endpoint URL: "{url}/homefeed' in reason
    assert "release.store and release.env say where the store is" in reason


def test_an_endpoint_that_never_answers(fetching: Fetching) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        reason = fetching.refused("--timeout-seconds", "2", variables={"AWS_ENDPOINT_URL": url})
    assert f"cannot be fetched from {STORE}: RuntimeError: no answer within 2 seconds" in reason

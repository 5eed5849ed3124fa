"""`homefeed publish`, as a process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from homefeed.cli import publish
from homefeed.release.bundle import Release
from homefeed.release.store import ReleaseStore
from tests.cli.conftest import leave_run
from tests.cli.homefeed_process import run_homefeed
from tests.release.bare_release import write_bare_release
from tests.s3_server import s3_server
from tests.serving.small_release import SmallRelease


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_bare_release(tmp_path / "release", created_at=1000)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of this machine that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        yield silent.getsockname()[1]


@pytest.fixture
def stuck_port() -> Iterator[int]:
    """A port of an S3 server that holds nothing, and never reads what it is sent to keep."""
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def do_PUT(self) -> None:
            is_over.wait()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        is_over.set()
        server.shutdown()


def test_the_last_runs_release_is_published_for_production(
    cli_release: SmallRelease, tmp_path: Path
) -> None:
    work, store = tmp_path / "work", tmp_path / "store"
    work.mkdir()
    leave_run(work, cli_release)
    finished = run_homefeed("publish", "--store", store, "--work", work)
    assert finished.returncode == 0, finished.stderr
    version = Release.open(cli_release.folder).version
    assert finished.stdout == f"published release {version} in {store} as production\n"
    assert ReleaseStore(str(store)).resolve("production") == version


def test_a_release_that_is_named_goes_to_a_bucket(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(tmp_path) as server:
        server.begin("homefeed", monkeypatch)
        url = "s3://homefeed/store"
        finished = run_homefeed("publish", release, "--store", url, "--channel", "candidate")
        assert finished.returncode == 0, finished.stderr
        assert ReleaseStore(url).channels() == ["candidate"]
        elsewhere = run_homefeed("publish", release, "--store", "s3://homefed/store")
        assert elsewhere.returncode == 1
        said = elsewhere.stderr.splitlines()[-1]
        assert said.startswith("homefeed: release store s3://homefed/store: FileNotFoundError: ")
        assert said.endswith("AWS_ENDPOINT_URL")


def test_a_channel_is_pointed_to_what_the_store_holds(release: Path, tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    first = store.publish(release, "production")
    later = write_bare_release(tmp_path / "later", created_at=2000)
    second = store.publish(later, "canary")
    promoted = run_homefeed("publish", "--store", store.url, "--version", "canary")
    assert promoted.returncode == 0, promoted.stderr
    assert promoted.stdout == f"published release {second} in {store.url} as production\n"
    back = run_homefeed("publish", "--store", store.url, "--version", first)
    assert back.returncode == 0, back.stderr
    assert store.resolve("production") == first


def test_a_version_that_is_not_there_or_not_alone_changes_nothing(
    release: Path, tmp_path: Path
) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    version = store.publish(release, "production")
    unknown = run_homefeed("publish", "--store", store.url, "--version", f"{version[:-1]}x")
    assert unknown.returncode == 1
    assert f"holds no channel '{version[:-1]}x'; it holds production" in unknown.stderr
    both = run_homefeed("publish", release, "--store", store.url, "--version", version)
    assert both.returncode == 1
    assert f"{release} and --version {version} are two releases: name one" in both.stderr
    assert ReleaseStore(store.url).channels() == ["production"]


def test_without_a_run_it_says_how_to_make_one(tmp_path: Path) -> None:
    finished = run_homefeed("publish", "--store", tmp_path / "store", "--work", tmp_path)
    assert finished.returncode == 1
    assert f"{tmp_path} holds no release of a run: make one with `" in finished.stderr
    assert not (tmp_path / "store").exists()


def test_a_release_that_is_damaged_is_not_published(release: Path, tmp_path: Path) -> None:
    (release / "user_tower.pt").write_bytes(b"changed")
    finished = run_homefeed("publish", release, "--store", tmp_path / "store")
    assert finished.returncode == 1
    assert "user_tower.pt of release" in finished.stderr
    assert not (tmp_path / "store").exists()


def test_a_store_that_does_not_answer_is_given_up(
    release: Path, silent_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_s3_to(silent_port, monkeypatch)
    monkeypatch.setattr(publish, "ANSWER_SECONDS", 1)
    with pytest.raises(RuntimeError, match="s3://b/store: .*it holds within 1 seconds; check the"):
        publish.publish_release(release, "s3://b/store", "production", tmp_path)


def test_a_store_that_takes_no_file_is_given_up(
    release: Path, stuck_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_s3_to(stuck_port, monkeypatch)
    monkeypatch.setattr(publish, "ANSWER_SECONDS", 5)
    num_bytes = sum(path.stat().st_size for path in release.rglob("*"))
    monkeypatch.setattr(publish, "SLOWEST_BYTES_PER_SECOND", num_bytes)
    with pytest.raises(RuntimeError) as error:
        publish.publish_release(release, "s3://b/store", "production", tmp_path)
    assert f"it did not take the {num_bytes} bytes of {release} within 6 seconds" in str(
        error.value
    )


def point_s3_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()  # they would go on asking an earlier server

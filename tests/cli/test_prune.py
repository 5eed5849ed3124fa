"""`homefeed prune`, as a process."""

from pathlib import Path

import pytest

from homefeed.release.store import ReleaseStore
from tests.cli.homefeed_process import run_homefeed
from tests.release.bare_release import write_bare_release
from tests.release.interrupted import breaking_off_at
from tests.s3_server import s3_server


def test_it_says_what_it_would_remove_and_then_removes_it(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path / "store"))
    versions = [
        store.publish(write_bare_release(tmp_path / str(time), time), "production")
        for time in (1000, 2000, 3000, 4000)
    ]
    first, second, *last = versions
    folder = tmp_path / "store" / "releases" / second
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    command = ("prune", "--store", store.url, "--keep", "2", "--also", first)
    dry = run_homefeed(*command, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines() == [
        f"would remove release {second}, {size:,} bytes",
        f"{size:,} bytes would be freed in {store.url}",
    ]
    assert store.versions() == versions
    done = run_homefeed(*command, "--keep-ids", "1")
    assert done.stdout.splitlines() == [
        f"removed release {second}, {size:,} bytes",
        f"{size:,} bytes freed in {store.url}",
    ]
    assert store.versions() == [first, *last]
    wrong = run_homefeed(*command, "--also", second)
    assert wrong.returncode == 1
    assert f"homefeed: {store.url} holds no release '{second}'" in wrong.stderr
    assert run_homefeed("prune", "--store", store.url, "--keep", "0").returncode == 2


def test_it_prunes_a_bucket_and_leaves_an_upload_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(tmp_path) as server:
        server.begin("homefeed", monkeypatch)
        store = ReleaseStore("s3://homefeed/store")
        old, new = (
            store.publish(write_bare_release(tmp_path / str(time), time), "production")
            for time in (1000, 2000)
        )
        with breaking_off_at(store, "manifest.json"):
            store.publish(write_bare_release(tmp_path / "500", 500), "production")
        finished = run_homefeed("prune", "--store", store.url, "--keep", "1")
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.startswith(f"removed release {old}, ")
        assert len(finished.stdout.splitlines()) == 2
        assert store.versions() == [new]
        elsewhere = run_homefeed("prune", "--store", "s3://homefed/store", "--keep", "1")
        assert elsewhere.returncode == 1
        assert "homefeed: release store s3://homefed/store: FileNotFoundError" in elsewhere.stderr

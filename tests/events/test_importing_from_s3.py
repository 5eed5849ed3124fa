"""Logs in a bucket of a real S3 API server."""

from collections.abc import Iterator
from csv import DictReader
from pathlib import Path

import fsspec
import msgspec
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events
from tests.s3_server import S3Server, s3_server

BUCKET = "logs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_log_in_a_bucket_gives_what_its_files_do(
    kind: str,
    server: S3Server,
    tiny_log: EventsConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.begin(BUCKET, monkeypatch)
    assert isinstance(tiny_log.input, Tables)
    parts = pq.read_table(tiny_log.input.engagements)
    halves = [parts.slice(0, 700), parts.slice(700)]
    for number, half in enumerate(halves):
        local = tmp_path / f"{number}.{kind}"
        pq.write_table(half, local) if kind == "parquet" else pa_csv.write_csv(half, local)
    places = {"local": str(tmp_path), "s3": f"s3://{BUCKET}/day=1"}
    fsspec.filesystem("s3").put(f"{tmp_path}/", f"{BUCKET}/day=1/", recursive=True)
    found = {}
    for name, place in places.items():
        tables = Tables(engagements=f"{place}/*.{kind}", format=kind)  # type: ignore[arg-type]
        import_events(msgspec.structs.replace(tiny_log, input=tables), tmp_path / name / "events")
        found[name] = pq.read_table(tmp_path / name / "events" / "engagements.parquet")
    assert len(found["s3"]) > 1000
    with (tmp_path / "s3" / "events" / "rejects.csv").open() as rejects:
        first, *_ = DictReader(rejects)
    assert first["file"].startswith(f"s3://{BUCKET}/day=1/")
    assert found["s3"].equals(found["local"])


def test_what_is_not_in_the_bucket_is_named(
    server: S3Server, tiny_log: EventsConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.begin(BUCKET, monkeypatch)
    tables = Tables(format="parquet", engagements=f"s3://{BUCKET}/none/*.parquet")
    with pytest.raises(ValueError, match=r"s3://logs/none/\*\.parquet names no file"):
        import_events(msgspec.structs.replace(tiny_log, input=tables), tmp_path / "events")

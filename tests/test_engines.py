"""Every stage that makes tables makes the same ones on DuckDB and on Spark."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import lmdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.select import select_corpus
from homefeed.data_checks.check import check_data
from homefeed.data_checks.config import ChecksConfig
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.refresh import refresh_dataset
from homefeed.engine import ENGINE_VARIABLE
from homefeed.events.config import EventsConfig
from homefeed.events.importing import import_events
from homefeed.features.encoder import FEATURES_FILE
from homefeed.id_embeddings.prepare import prepare
from homefeed.release.write_users import write_user_snapshot
from tests.data_fixtures import TINY_FEATURES
from tests.id_embeddings.logs import id_recipe

# What a few rows need: one thread, and no code that is compiled for them.
SPARK_SETTINGS = (
    "spark.sql.shuffle.partitions=1",
    "spark.sql.codegen.wholeStage=false",
    "spark.sql.codegen.factoryMode=NO_CODEGEN",
    "spark.ui.enabled=false",
    "spark.log.level=ERROR",
    "spark.driver.host=localhost",
)


def java_version() -> int:
    """Of the Java that Spark would start; 0 without any."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None:
        return 0
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None,
        reason="Spark is not installed: pip install --no-deps -r requirements/spark.txt",
    ),
    pytest.mark.skipif(
        java_version() not in (17, 21),
        reason="Spark needs a Java 17 or 21 in JAVA_HOME or on the path",
    ),
]


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, tables are computed by Spark."""

    def use() -> None:
        settings = " ".join(f"--conf {setting}" for setting in SPARK_SETTINGS)
        monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", f"{settings} pyspark-shell")
        monkeypatch.setenv(ENGINE_VARIABLE, "local[1]")

    return use


def run_stages(config: EventsConfig, folder: Path) -> None:
    events, dataset = folder / "events", folder / "dataset"
    import_events(config, events)
    prepare([events], id_recipe(config), folder / "ids")
    for split in ("leave_last_out", "random"):
        build_dataset(events, DatasetConfig(split=split), TINY_FEATURES, 1, folder / split)
    build_dataset(events, DatasetConfig(), TINY_FEATURES, 1, dataset)
    check_data(events, dataset, ChecksConfig(), None, folder / "checks")
    select_corpus(dataset, CorpusConfig(max_pins=30), TINY_FEATURES, folder / "corpus")
    refresh_dataset(events, dataset / FEATURES_FILE, folder / "refreshed")
    write_user_snapshot(dataset, folder / "users")


def compare(ours: Path, theirs: Path) -> None:
    """All files are the same but for the last digits of sums, whose order differs."""
    names = [p.relative_to(ours) for p in sorted(ours.rglob("*.*")) if p.name != "manifest.json"]
    assert names == [
        p.relative_to(theirs) for p in sorted(theirs.rglob("*.*")) if p.name != "manifest.json"
    ]
    for name in names:
        if name.suffix == ".parquet":
            compare_tables(pq.read_table(ours / name), pq.read_table(theirs / name), str(name))
        elif name.suffix == ".mdb":
            assert contents(ours / name) == contents(theirs / name)
        else:
            assert rounded(ours / name) == rounded(theirs / name), name


def compare_tables(ours: pa.Table, theirs: pa.Table, name: str) -> None:
    assert ours.column_names == theirs.column_names, name
    for column in ours.column_names:
        kind, values = ours[column].type, theirs[column].cast(ours[column].type)
        if pa.types.is_floating(kind):
            np.testing.assert_allclose(ours[column], values, rtol=1e-5, err_msg=f"{name} {column}")
        else:
            assert ours[column].to_pylist() == values.to_pylist(), f"{name} {column}"
        # Whether a list may hold null is said differently, and no reader asks.
        if not pa.types.is_list(kind):
            assert theirs[column].type == kind, f"{name} {column}"


def rounded(path: Path) -> str:
    """A text with six digits of its long numbers."""
    return re.sub(r"\d+\.\d{6,}", lambda found: f"{float(found[0]):.6g}", path.read_text("utf-8"))


def contents(path: Path) -> dict[bytes, object]:
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment:
        with environment.begin() as transaction:
            return {key: msgspec.msgpack.decode(value) for key, value in transaction.cursor()}


def test_stages_are_the_same(tiny_log: EventsConfig, tmp_path: Path, spark: Callable) -> None:
    run_stages(tiny_log, tmp_path / "duckdb")
    spark()
    run_stages(tiny_log, tmp_path / "spark")
    compare(tmp_path / "duckdb", tmp_path / "spark")

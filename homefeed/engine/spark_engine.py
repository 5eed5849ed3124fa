"""Spark, for logs that one machine cannot hold: in this process, or a cluster by its URL.

Executors read and write the same paths as this process, so a cluster needs a file system that all
of them share. Memory, packages and the like are Spark's own settings: `spark-defaults.conf` in
`SPARK_CONF_DIR`, or `PYSPARK_SUBMIT_ARGS`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend
from ibis.backends.pyspark.datatypes import PySparkType
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from homefeed.engine.duckdb_engine import DuckDbEngine
from homefeed.engine.parquet import SCHEME, first_rows, without_scheme

_PATH, _START, _FILE_PATH, _ROW_INDEX = "homefeed_path", "homefeed_start", "file_path", "row_index"
_ROWS_AT_ONCE = 131_072


class SparkEngine:
    """Tables that are kept lie as Parquet in the scratch folder."""

    errors = (PySparkException, *DuckDbEngine.errors)

    def __init__(self, url: str, scratch: Path) -> None:
        builder: Any = SparkSession.builder
        self._session: SparkSession = (
            builder.master(url)
            .appName("homefeed")
            .config("spark.sql.warehouse.dir", f"{scratch}/warehouse")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
        self._backend = ibis.pyspark.connect(self._session)
        self._scratch = scratch.resolve()
        self._duckdb: DuckDbEngine | None = None
        self._num_folders = 0

    @property
    def text_reader(self) -> Backend:
        """A DuckDB beside it: Spark does not tell which line of a text file a row was."""
        if self._duckdb is None:
            self._duckdb = DuckDbEngine(self._scratch)
        return self._duckdb.text_reader

    def read(self, path: Path) -> ir.Table:
        """See `Engine.read`."""
        return self._table(self._session.read.parquet(_url(path)))

    def read_source(
        self, filesystem: AbstractFileSystem, files: Sequence[str], file: str, row: str
    ) -> ir.Table:
        """See `Engine.read_source`."""
        starts = first_rows(filesystem, files)
        names = [filesystem.unstrip_protocol(name) for name in files]
        frame = self._session.read.option("mergeSchema", "true").parquet(*names)
        # Spark quotes what it finds.
        quoted = {unquote(path): path for path in map(without_scheme, frame.inputFiles())}
        places = self._session.createDataFrame(
            [
                (quoted[without_scheme(name)], own, start)
                for name, own, start in zip(names, files, starts, strict=True)
            ],
            f"{_PATH} string, {file} string, {_START} long",
        )
        rows = frame.select("*", f"_metadata.{_FILE_PATH}", f"_metadata.{_ROW_INDEX}")
        own_path = F.regexp_replace(_FILE_PATH, SCHEME, "")
        placed = rows.join(F.broadcast(places), own_path == F.col(_PATH))
        numbered = placed.withColumn(row, F.col(_ROW_INDEX) + F.col(_START))
        return self._table(numbered.drop(_FILE_PATH, _ROW_INDEX, _PATH, _START))

    def take(self, name: str, table: ir.Table) -> ir.Table:
        """See `Engine.take`."""
        path = self._new_folder(name)
        table.to_parquet(path)
        return self.read(path)

    def keep(self, name: str, table: ir.Table) -> ir.Table:
        """See `Engine.keep`."""
        return self.read(self._write_parts(table, name)[0].parent)

    def write(self, table: ir.Table, path: Path, row_group_size: int | None = None) -> ir.Table:
        """See `Engine.write`."""
        parts = self._write_parts(table, path.stem)
        size = row_group_size or _ROWS_AT_ONCE
        with pq.ParquetWriter(path, pq.read_schema(parts[0]).remove_metadata()) as writer:
            for part in parts:
                for batch in pq.ParquetFile(part).iter_batches(size):
                    writer.write_batch(batch, row_group_size=size)
        return self.read(path)

    def write_csv(self, table: ir.Table, path: Path) -> None:
        """See `Engine.write_csv`."""
        parts = self._write_parts(table, path.stem)
        self.text_reader.read_parquet([str(part) for part in parts]).to_csv(path, header=True)

    def batches(self, table: ir.Table, num_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Engine.batches`."""
        for part in self._write_parts(table, "batches"):
            yield from pq.ParquetFile(part).iter_batches(num_rows)

    def close(self) -> None:
        """Ends the session."""
        if self._duckdb is not None:
            self._duckdb.close()
        self._session.stop()

    def _write_parts(self, table: ir.Table, name: str) -> list[Path]:
        """Files that hold a table in its order."""
        # A new folder each time: a table may be made of the one whose name it takes.
        folder = self._new_folder(name)
        self._frame(table).write.parquet(_url(folder))
        return sorted(folder.glob("part-*.parquet"))

    def _new_folder(self, name: str) -> Path:
        self._num_folders += 1
        return self._scratch / f"{name}-{self._num_folders}"

    def _frame(self, table: ir.Table) -> DataFrame:
        frame = self._session.sql(self._backend.compile(table))
        # Where Ibis knows an int64 Spark may have an int32, as in the places of rows.
        kinds = {name: PySparkType.from_ibis(kind) for name, kind in table.schema().items()}
        return frame.select(*(F.col(f"`{name}`").cast(kind) for name, kind in kinds.items()))

    def _table(self, frame: DataFrame) -> ir.Table:
        self._num_folders += 1
        name = f"homefeed_{self._num_folders}"
        frame.createOrReplaceTempView(name)
        return self._backend.table(name)


def _url(path: Path) -> str:
    """Spark's default file system may be another than the one of this machine."""
    return f"file://{path.resolve()}"

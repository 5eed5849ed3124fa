"""DuckDB: in this process, out of core."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from fsspec import AbstractFileSystem
from ibis import _
from ibis.backends.duckdb import Backend

from homefeed.engine.parquet import SCHEME, first_rows, without_scheme

MEMORY_VARIABLE = "HOMEFEED_MEMORY"
"""How much memory DuckDB's tables may take, as `3GB`, before they go to disk; without it, 80 % of
what the machine or the container has. Python and what is being read come on top of it."""
S3, OTHER_S3 = "s3://", "s3a://"
"""For the first, Ibis has DuckDB download a reader of its own, which knows nothing of fsspec's
credentials; by the second the same files are read through fsspec."""


_ROW_OF_FILE, _PATH, _START = "file_row_number", "homefeed_path", "homefeed_start"


class DuckDbEngine:
    """Tables, and what does not fit into memory, lie in the scratch folder."""

    errors = (duckdb.Error,)

    def __init__(self, scratch: Path, memory: str | None = None) -> None:
        limit = {} if memory is None else {"memory_limit": memory}
        try:
            self._backend = ibis.duckdb.connect(
                f"{scratch}/tables.duckdb", temp_directory=f"{scratch}/spill", **limit
            )
        except duckdb.Error as error:
            raise ValueError(f"{MEMORY_VARIABLE}={memory} is no size, as 3GB is: {error}") from None
        # Ibis 12 writes lambdas with an arrow, which DuckDB 2 takes only when told to.
        self._backend.raw_sql("SET lambda_syntax = 'ENABLE_SINGLE_ARROW'")
        # A bar on stdout would end up in what commands print for other programs.
        self._backend.raw_sql("SET enable_progress_bar = false")

    @property
    def text_reader(self) -> Backend:
        """Itself."""
        return self._backend

    def read(self, path: Path) -> ir.Table:
        """See `Engine.read`."""
        return self._backend.read_parquet(path)

    def read_source(
        self, filesystem: AbstractFileSystem, files: Sequence[str], file: str, row: str
    ) -> ir.Table:
        """See `Engine.read_source`."""
        names = open_names(self._backend, filesystem, files)
        table = self._backend.read_parquet(
            names, filename=file, file_row_number=True, union_by_name=True
        )
        if len(names) == 1:
            return table.rename({row: _ROW_OF_FILE})
        # A number over all rows would be given by one thread, which would then read all of them.
        paths = [without_scheme(name) for name in names]
        starts = ibis.memtable(
            {_PATH: paths, _START: first_rows(filesystem, files)},
            schema={_PATH: "string", _START: "int64"},
        )
        # DuckDB may name a file by another of its file system's schemes.
        placed = table.mutate(**{_PATH: _[file].re_replace(SCHEME, "")}).join(starts, _PATH)
        return placed.mutate(**{row: _[_ROW_OF_FILE] + _[_START]}).drop(_ROW_OF_FILE, _START, _PATH)

    def take(self, name: str, table: ir.Table) -> ir.Table:
        """See `Engine.take`."""
        return self.keep(name, table)

    def keep(self, name: str, table: ir.Table) -> ir.Table:
        """See `Engine.keep`."""
        return self._backend.create_table(name, table, overwrite=True)

    def write(self, table: ir.Table, path: Path, row_group_size: int | None = None) -> ir.Table:
        """See `Engine.write`."""
        sizes = {} if row_group_size is None else {"row_group_size": row_group_size}
        table.to_parquet(path, **sizes)
        return self.read(path)

    def write_csv(self, table: ir.Table, path: Path) -> None:
        """See `Engine.write_csv`."""
        table.to_csv(path, header=True)

    def batches(self, table: ir.Table, num_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Engine.batches`."""
        # Ibis 12 asks for a reader by a name that DuckDB 2 no longer has.
        found = self._backend.raw_sql(self._backend.compile(table))
        yield from found.to_arrow_reader(num_rows)

    def close(self) -> None:
        """Lets go of the files."""
        self._backend.disconnect()


def open_names(backend: Backend, filesystem: AbstractFileSystem, files: Sequence[str]) -> list[str]:
    """The names by which a DuckDB reads files of a file system, which it learns of here."""
    protocol = filesystem.protocol
    # A file system may go by several names, as S3 does.
    protocols = (protocol,) if isinstance(protocol, str) else protocol
    if "file" in protocols:
        return list(files)
    if not any(map(backend.con.filesystem_is_registered, protocols)):
        backend.register_filesystem(filesystem)
    names = [filesystem.unstrip_protocol(file) for file in files]
    return [OTHER_S3 + name.removeprefix(S3) if name.startswith(S3) else name for name in names]

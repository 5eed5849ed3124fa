"""What an engine does for the stages, beside running their expressions."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa
from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend


class Engine(Protocol):
    """Reads and writes Parquet, and keeps what is computed once and used twice."""

    @property
    def text_reader(self) -> Backend:
        """The DuckDB that reads CSV files; what it reads goes through `take`."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised for files that cannot be read."""
        ...

    def read(self, path: Path) -> ir.Table:
        """A table of an artifact: a Parquet file, or a glob of several."""
        ...

    def read_source(
        self, filesystem: AbstractFileSystem, files: Sequence[str], file: str, row: str
    ) -> ir.Table:
        """A source's Parquet files as one table; a column that some lack is null there.

        Args:
            filesystem: where they are.
            files: their names in it.
            file: name of the added column with each row's file.
            row: name of the added column, int64: the row's place over all files, from 0.
        """
        ...

    def take(self, name: str, table: ir.Table) -> ir.Table:
        """Brings a table of `text_reader` over, and keeps it."""
        ...

    def keep(self, name: str, table: ir.Table) -> ir.Table:
        """Computes a table now, for the engine's lifetime or until one of that name is kept."""
        ...

    def write(self, table: ir.Table, path: Path, row_group_size: int | None = None) -> ir.Table:
        """Writes one Parquet file, in the table's order; returns it as written."""
        ...

    def write_csv(self, table: ir.Table, path: Path) -> None:
        """Writes one CSV file with a header, in the table's order."""
        ...

    def batches(self, table: ir.Table, num_rows: int) -> Iterator[pa.RecordBatch]:
        """The table in its order, so many rows at a time."""
        ...

    def close(self) -> None:
        """Lets go of all that it holds."""
        ...

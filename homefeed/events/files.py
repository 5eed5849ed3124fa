"""Finds a source's files and reads them as tables, each row with its file and place."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import fsspec
import ibis
import ibis.expr.types as ir
from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend

RESERVED = "homefeed_"
"""Begin of the names of helper columns."""
FILE = f"{RESERVED}file"
ROW = f"{RESERVED}row"

S3, OTHER_S3 = "s3://", "s3a://"
"""For the first, Ibis has DuckDB download a reader of its own, which knows nothing of fsspec's
credentials; by the second the same files are read through fsspec."""

Format = Literal["parquet", "csv"]


@dataclass(frozen=True)
class RawTable:
    """A table of the source as it lies in its files.

    Attributes:
        path: path or glob that it was read from, for errors.
        rows: the source's own columns, `FILE` (string) and `ROW` (int64, from 0, over all files in
            the order of their names). Cells of a CSV are strings; empty ones are null.
        malformed: lines of a CSV that are no rows: `file`, `row`, `value` and `reason`.
    """

    path: str
    rows: ir.Table
    malformed: ir.Table | None = None


def list_files(path: str) -> tuple[AbstractFileSystem, list[str]]:
    """The files that a path or glob names, sorted by name.

    Raises:
        ValueError: there are none.
    """
    filesystem, pattern = fsspec.url_to_fs(path)
    files = sorted(filesystem.glob(pattern))
    if not files:
        raise ValueError(f"{path} names no file")
    if folders := [file for file in files if filesystem.isdir(file)]:
        raise ValueError(f"{folders[0]} is a folder: name its files, as in {folders[0]}/*.parquet")
    return filesystem, files


def read_files(engine: Backend, name: str, path: str, kind: Format, delimiter: str) -> RawTable:
    """Reads all files that a path or glob names as one table.

    Args:
        engine: where the table will live.
        name: what the table holds, unique in the engine.
        path: path, glob or fsspec URL.
        kind: format of the files.
        delimiter: what parts the cells of a CSV line.

    Raises:
        ValueError: there are no files, they are not of this format, or their columns differ.
    """
    filesystem, files = list_files(path)
    protocol = filesystem.protocol
    # A file system may go by several names, as S3 does.
    protocols = (protocol,) if isinstance(protocol, str) else protocol
    local = "file" in protocols
    names = files if local else [filesystem.unstrip_protocol(file) for file in files]
    names = [OTHER_S3 + name.removeprefix(S3) if name.startswith(S3) else name for name in names]
    if not local and not any(map(engine.con.filesystem_is_registered, protocols)):
        engine.register_filesystem(filesystem)
    try:
        if kind == "parquet":
            table = engine.read_parquet(names, filename=FILE, union_by_name=True)
            return RawTable(path, table.mutate(**{ROW: ibis.row_number()}))
        columns = _header(filesystem, files, delimiter)
        return _read_csv(engine, name, path, names, columns, delimiter)
    except duckdb.Error as error:
        raise ValueError(f"{path} cannot be read as {kind}: {error}") from error


def _read_csv(
    engine: Backend,
    name: str,
    path: str,
    files: list[str],
    columns: Sequence[str],
    delimiter: str,
) -> RawTable:
    table = engine.read_csv(
        files,
        # Nothing is guessed: a guessed type would turn the id 007 into 7.
        auto_detect=False,
        columns=dict.fromkeys(columns, "VARCHAR"),
        header=True,
        delim=delimiter,
        quote='"',
        escape='"',
        filename=FILE,
        store_rejects=True,
        rejects_table=f"{name}_malformed",
        rejects_scan=f"{name}_scans",
    )
    # Read once, as each scan adds its malformed lines to the engine's table of them.
    rows = engine.create_table(f"{name}_rows", table.mutate(**{ROW: ibis.row_number()}))
    malformed = engine.sql(
        f"""
        SELECT file_path AS file, line::BIGINT AS row, csv_line AS value,
            'malformed line' AS reason
        FROM {name}_malformed JOIN {name}_scans USING (scan_id, file_id)
        """,
        schema={"file": "string", "row": "int64", "value": "string", "reason": "string"},
    )
    return RawTable(path, rows, malformed)


def _header(filesystem: AbstractFileSystem, files: list[str], delimiter: str) -> list[str]:
    """The one header of all files."""
    headers: dict[str, list[str]] = {}
    for file in files:
        opened: Any = filesystem.open(
            file, "r", compression="infer", encoding="utf-8-sig", errors="replace", newline=""
        )
        with opened as lines:
            headers[file] = next(csv.reader(lines, delimiter=delimiter), [])
        if headers[file] != headers[files[0]]:
            raise ValueError(
                f"{file} has the columns {headers[file]} but {files[0]} has {headers[files[0]]}: "
                "files that are read together need the same header"
            )
    header = headers[files[0]]
    if not header or len(set(header)) < len(header) or "" in header:
        raise ValueError(f"{files[0]} needs a header line of different names, it has {header}")
    return header

"""Finds a source's files and reads them as tables, each row with its file and place."""

import csv
from dataclasses import dataclass
from typing import Any, Literal

import fsspec
import ibis
import ibis.expr.types as ir
from fsspec import AbstractFileSystem

from homefeed.engine import Engine
from homefeed.engine.duckdb_engine import open_names

RESERVED = "homefeed_"
"""Begin of the names of helper columns."""
FILE = f"{RESERVED}file"
ROW = f"{RESERVED}row"

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


def read_files(engine: Engine, name: str, path: str, kind: Format, delimiter: str) -> RawTable:
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
    try:
        if kind == "parquet":
            return RawTable(path, engine.read_source(filesystem, files, FILE, ROW))
        return _read_csv(engine, name, path, filesystem, files, delimiter)
    except engine.errors as error:
        raise ValueError(f"{path} cannot be read as {kind}: {error}") from error


def _read_csv(
    engine: Engine,
    name: str,
    path: str,
    filesystem: AbstractFileSystem,
    files: list[str],
    delimiter: str,
) -> RawTable:
    columns = _header(filesystem, files, delimiter)
    reader = engine.text_reader
    table = reader.read_csv(
        open_names(reader, filesystem, files),
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
    rows = engine.take(f"{name}_rows", table.mutate(**{ROW: ibis.row_number()}))
    malformed = reader.sql(
        f"""
        SELECT file_path AS file, line::BIGINT AS row, csv_line AS value,
            'malformed line' AS reason
        FROM {name}_malformed JOIN {name}_scans USING (scan_id, file_id)
        """,
        schema={"file": "string", "row": "int64", "value": "string", "reason": "string"},
    )
    return RawTable(path, rows, engine.take(f"{name}_malformed_lines", malformed))


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

"""Opens the engine that the environment asks for."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from homefeed.engine.duckdb_engine import MEMORY_VARIABLE, DuckDbEngine
from homefeed.engine.engine import Engine

ENGINE_VARIABLE = "HOMEFEED_ENGINE"
"""Where tables are computed, which changes no result: `duckdb`, or the URL of a Spark master, as
`spark://host:7077` or `local[4]`."""
DUCKDB = "duckdb"
_MASTER = re.compile(r"local(\[.+\])?|(spark|k8s)://.+|yarn")


@contextmanager
def open_engine(output: Path) -> Iterator[Engine]:
    """The engine of `HOMEFEED_ENGINE`, DuckDB without it.

    Args:
        output: folder that is being written; the scratch folder lies beside it, where there is
            room for what is written, and is removed at the end.

    Raises:
        ValueError: the variable asks for what is no engine or for Spark, which is not installed, or
            `HOMEFEED_MEMORY` is no size.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".tables-", dir=output.parent) as scratch:
        engine = _open(os.environ.get(ENGINE_VARIABLE) or DUCKDB, Path(scratch))
        try:
            yield engine
        finally:
            engine.close()


def _open(name: str, scratch: Path) -> Engine:
    if name == DUCKDB:
        return DuckDbEngine(scratch, os.environ.get(MEMORY_VARIABLE))
    if not _MASTER.fullmatch(name):
        raise ValueError(
            f"{ENGINE_VARIABLE}={name} is no engine: it is {DUCKDB}, or a Spark master such as "
            "local[4], spark://host:7077, k8s://https://host:443 or yarn"
        )
    try:
        from homefeed.engine.spark_engine import SparkEngine
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{ENGINE_VARIABLE}={name} asks for Spark, but {error.name} is not installed: "
            "`pip install --no-deps -r requirements/spark.txt`, or unset the variable for DuckDB"
        ) from error
    return SparkEngine(name, scratch)

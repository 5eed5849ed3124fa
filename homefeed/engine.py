"""The engine that runs table expressions, chosen here and nowhere else.

Everything else is Ibis expressions, which say what a table is and not who computes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
from ibis.backends.duckdb import Backend


@contextmanager
def open_engine(output: Path) -> Iterator[Backend]:
    """A DuckDB whose own tables, and what does not fit into memory, lie on disk.

    Args:
        output: folder that is being written; the scratch folder lies beside it, where there is
            room for what is written, and is removed at the end.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".tables-", dir=output.parent) as scratch:
        engine = ibis.duckdb.connect(f"{scratch}/tables.duckdb", temp_directory=f"{scratch}/spill")
        # Ibis 12 writes lambdas with an arrow, which DuckDB 2 takes only when told to.
        engine.raw_sql("SET lambda_syntax = 'ENABLE_SINGLE_ARROW'")
        # A bar on stdout would end up in what commands print for other programs.
        engine.raw_sql("SET enable_progress_bar = false")
        try:
            yield engine
        finally:
            engine.disconnect()

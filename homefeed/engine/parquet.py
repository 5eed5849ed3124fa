"""What engines ask of Parquet files before they read them."""

import re
from collections.abc import Sequence
from itertools import accumulate

import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

SCHEME = "^[a-z0-9]+:/*"
"""Of a URL: one file system may go by several."""


def without_scheme(url: str) -> str:
    """The path in a URL."""
    return re.sub(SCHEME, "", url)


def first_rows(filesystem: AbstractFileSystem, files: Sequence[str]) -> list[int]:
    """The place of each file's first row over all files, from 0."""
    counts = []
    for name in files:
        with filesystem.open(name) as opened:
            counts.append(pq.read_metadata(opened).num_rows)
    return [0, *accumulate(counts)][: len(counts)]

"""What `make demo` made on this machine."""

from pathlib import Path
from typing import NamedTuple


class Demo(NamedTuple):
    """A release of ml-1m, and some of its users."""

    release: Path
    version: str
    created_at: int
    users: list[str]

"""Where the commands print: results to standard output, what goes on to standard error."""

import shlex
import sys
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 140
"""Of lines that go to a file or another program, which have no width of their own."""


def _make_console(*, stderr: bool) -> Console:
    # Marks and colours of its own guessing would hide those that mean something.
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


console = _make_console(stderr=False)
log = _make_console(stderr=True)


def say(text: str, style: str | None = None) -> None:
    """Prints a line that is never broken, so that commands and paths in it can be copied."""
    console.print(text, style=style, soft_wrap=True)


def program() -> str:
    """The running program as it can be typed in the folder where it was started."""
    path, here = Path(sys.argv[0]).absolute(), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def make_table(*columns: str, right: tuple[str, ...] = (), title: str | None = None) -> Table:
    """A table with these columns; those named in `right` hold numbers."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for name in columns:
        is_number = name in right
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    return table

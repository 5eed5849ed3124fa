"""Markdown files with parts that are made from data."""

import re
from collections.abc import Callable, Sequence

BEGIN = re.compile(r"^<!-- results: ([a-z0-9][a-z0-9._-]*) -->$", re.MULTILINE)
END = re.compile(r"^<!-- /results -->$", re.MULTILINE)


def fill_parts(text: str, where: str, make: Callable[[str], str]) -> str:
    """Replaces what lies between each pair of marker lines.

    Args:
        text: of the file.
        where: its name, for the error.
        make: from a part's name to what belongs there; empty where there is nothing yet.

    Raises:
        ValueError: a part does not end before the next begins; names file and line.
    """
    written: list[str] = []
    done = 0
    while begin := BEGIN.search(text, done):
        end = END.search(text, begin.end())
        following = BEGIN.search(text, begin.end())
        if end is None or (following is not None and following.start() < end.start()):
            line = text.count("\n", 0, begin.start()) + 1
            raise ValueError(
                f"{where}:{line}: the part {begin[0]} has no end: put <!-- /results --> on a line "
                "of its own after it"
            )
        made = make(begin[1])
        written += [text[done : begin.end()], f"\n\n{made}\n\n" if made else "\n"]
        done = end.start()
    return "".join([*written, text[done:]])


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = []
    for row in (header, rule, *rows):
        cells = [cell.replace("|", "\\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

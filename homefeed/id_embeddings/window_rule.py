"""Which ID embeddings the towers may use: the latest that know nothing of the towers' own window.

A table that has seen the engagements which the towers learn from hands them the answers: they lean
on it in training, and are left with nothing in serving. One from after them knows the future.
"""

from collections.abc import Sequence

import msgspec

from homefeed.contracts import Granularity, Manifest, Window, iso
from homefeed.store import NUM_SHOWN

UNITS = (("day", 86_400), ("hour", 3_600), ("second", 1))


class PublishedTable(msgspec.Struct, frozen=True):
    """ID embeddings in a store: their version there, and what their manifest says."""

    version: str
    manifest: Manifest

    @property
    def window(self) -> Window:
        """What they learned from."""
        assert self.manifest.window is not None
        return self.manifest.window


def choose_table(tables: Sequence[PublishedTable], training: Window) -> PublishedTable:
    """The table that ends last among those that end before the towers' training window starts.

    Windows are half-open: a table may end at the very second at which training starts. Of tables
    that end together the one made last is taken.

    Args:
        tables: those there are, in any order.
        training: the window of the examples that the towers learn from.

    Raises:
        ValueError: there is none, or none is legal; names every window and what to do.
    """
    legal = [table for table in tables if table.window.end <= training.start]
    if legal:
        return max(legal, key=lambda each: (each.window.end, each.manifest.details["created_at"]))
    advice = f"Use a table that ends on or before {iso(training.start)}"
    if not tables:
        raise ValueError(
            f"there are no ID embeddings yet, and the towers train from {training}. {advice}: "
            "pre-train one with window.end no later than that."
        )
    nearest = sorted(tables, key=lambda each: each.window.end)[:NUM_SHOWN]
    said = "; ".join(_refusal(table, training) for table in nearest)
    more = f"; {len(tables) - NUM_SHOWN} more end later" if len(tables) > NUM_SHOWN else ""
    raise ValueError(
        f"{said}{more}. {advice}; where there is none, pre-train one with window.end no later than "
        "that."
    )


def check_table(manifest: Manifest, training: Window, granularity: Granularity) -> None:
    """Refuses ID embeddings that the towers may not use.

    Args:
        manifest: of the artifact.
        training: the window of the examples that the towers learn from.
        granularity: of their data set.

    Raises:
        ValueError: they do not end before the window, or their rows stand for something else; see
            `choose_table` and `of_granularity`.
    """
    choose_table(of_granularity([PublishedTable("given", manifest)], granularity), training)


def of_granularity(
    tables: Sequence[PublishedTable], granularity: Granularity
) -> list[PublishedTable]:
    """The tables whose rows stand for what the data set's pins stand for.

    Args:
        tables: those there are.
        granularity: of the data set.

    Raises:
        ValueError: there are some, and none of that granularity.
    """
    fitting = [table for table in tables if table.manifest.granularity == granularity]
    if tables and not fitting:
        others = ", ".join(sorted({table.manifest.granularity for table in tables}))
        raise ValueError(
            f"the ID embeddings have a row for each {others} and the data set is of "
            f"granularity {granularity}: pre-train some with granularity: {granularity}"
        )
    return fitting


def _refusal(table: PublishedTable, training: Window) -> str:
    overlap = min(table.window.end, training.end) - max(table.window.start, training.start)
    reason = f"{_duration(overlap)} overlap" if overlap > 0 else "it comes after them"
    return (
        f"ID embeddings {table.version} cover {table.window} but the towers train from "
        f"{training}: {reason}"
    )


def _duration(seconds: int) -> str:
    """In the largest unit of which it has one, rounded up."""
    name, size = next((name, size) for name, size in UNITS if seconds >= size)
    count = -(-seconds // size)
    return f"{count:,} {name}{'s' if count > 1 else ''}"

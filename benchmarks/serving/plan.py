"""What is measured, how often and for how long."""

from typing import NamedTuple


class Corpus(NamedTuple):
    """Pins to recommend; None are those of MovieLens-1M alone."""

    title: str
    num_pins: int | None


CORPORA = (Corpus("3.7 k pins", None), Corpus("1 M pins", 1_000_000))


class Plan(NamedTuple):
    """How much is measured."""

    num_repeats: int = 6
    """Six are the fewest whose median has an interval."""
    seconds: float = 2.0
    """Of load, for each configuration in each repeat."""
    connections: tuple[int, ...] = (1, 4, 16, 64)
    num_users: int = 1000
    num_searches: int = 100
    """Of each kind in each repeat, one at a time."""

"""Recommendations as people read them."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from homefeed.cli.catalogue import PinText
from homefeed.cli.console import make_table
from serving.torchserve.protocol import Pin, Recommendations

COLD_START = "cold start: the release does not know this user"
DEGRADED = "degraded: the search did not answer, popular pins stand in"


def pins_table(answer: Recommendations, texts: Mapping[str, PinText]) -> Table:
    """The pins of an answer, best first.

    Args:
        answer: what the service said.
        texts: of the pins; nothing need be known of any.
    """
    table = make_table("", "pin", "title", "interests", "score", "found by", right=("", "score"))
    for place, pin in enumerate(answer.pins, start=1):
        text = texts.get(pin.pin_id, PinText("", ()))
        table.add_row(
            str(place),
            pin.pin_id,
            text.title,
            ", ".join(text.interests),
            format_score(pin),
            pin.source,
        )
    return table


def format_score(pin: Pin) -> str:
    """The score; popular pins have none."""
    return "" if pin.score is None else f"{pin.score:.3f}"


def remarks(answer: Recommendations) -> Sequence[str]:
    """What is out of the ordinary about an answer."""
    lines = []
    if not answer.pins:
        lines.append("no pin is left after the filters")
    if answer.cold_start:
        lines.append(COLD_START)
    if answer.degraded:
        lines.append(DEGRADED)
    return lines

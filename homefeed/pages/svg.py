"""Figures as SVG elements of an HTML page, in colours that the page chooses."""

import re
from html import escape
from io import StringIO
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure


class Colour(NamedTuple):
    """One colour on a light and on a dark page."""

    light: str
    dark: str


INK = "ink"
GRID = "grid"
BLUE, GREY, AMBER, GREEN, VIOLET = "blue", "grey", "amber", "green", "violet"
COLOURS = {
    INK: Colour("#1f2328", "#e6edf3"),
    GRID: Colour("#d1d9e0", "#3d444d"),
    BLUE: Colour("#2563eb", "#6ea8fe"),
    GREY: Colour("#8b949e", "#9aa4b0"),
    AMBER: Colour("#d97706", "#f0a13a"),
    GREEN: Colour("#0f8a5f", "#3fc28f"),
    VIOLET: Colour("#8250df", "#b392f0"),
}
"""The page has a CSS variable of each name. Figures are drawn in the light colours, which differ
from each other, and only from these."""

# Text stays text, and equal figures give equal bytes.
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "homefeed"}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
PROLOGUE = re.compile(r".*?<svg[^>]*viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
"""XML declaration, document type and the root with its fixed size: an HTML page wants none."""
REFERENCE = re.compile(r'(\bid="|url\(#|href="#)')


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Draws a figure.

    Args:
        figure: in colours of `COLOURS` on no ground.
        name: of the figure in its page; two figures of one page have different names.
        description: for those who cannot see it.

    Returns:
        One `<svg>` element as wide as its container, with nothing of it loaded from elsewhere.
    """
    figure.patch.set_visible(False)
    drawn = StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(drawn, format="svg", metadata=NO_METADATA)
    root = f'<svg viewBox="\\1" role="img" aria-label="{escape(description)}">'
    svg = PROLOGUE.sub(root, drawn.getvalue(), count=1)
    svg = REFERENCE.sub(rf"\1{name}-", svg)
    for variable, colour in COLOURS.items():
        svg = svg.replace(colour.light, f"var(--{variable})")
    return svg.strip()

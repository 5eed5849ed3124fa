"""The answered panels as one page, on Grafana's grid."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmarks.dashboard.panels import Line, Panel
from homefeed.pages.axes import label_axes
from homefeed.pages.render import render
from homefeed.pages.svg import AMBER, BLUE, COLOURS, GREEN, GREY, INK, VIOLET, to_svg

TEMPLATE = Path(__file__).with_name("dashboard.html.j2")
WIDTH = 1400
"""Of the page, in pixels; its height follows from the panels."""
UNIT_PIXELS = 30
"""Height of a unit of the grid."""
HEADER_PIXELS = 70
TEXT_PIXELS = 76
"""What a panel has beside its figure: title, description and legend."""
LINE_COLOURS = (BLUE, AMBER, GREEN, VIOLET, GREY, INK)
PIXELS_PER_INCH = 100


def page_height(panels: Sequence[Panel]) -> int:
    """The height of the page, in pixels."""
    return HEADER_PIXELS + UNIT_PIXELS * max(panel.place.y + panel.place.h for panel in panels)


def make_page(panels: Sequence[Panel], subtitle: str) -> str:
    """The page as HTML.

    Args:
        panels: of the dashboard.
        subtitle: what it shows and when.
    """
    return render(
        TEMPLATE,
        {"shown": shown},
        subtitle=subtitle,
        panels=[(panel, _figure(panel, number)) for number, panel in enumerate(panels)],
        line_colours=LINE_COLOURS,
        width=WIDTH,
        unit_pixels=UNIT_PIXELS,
        header_pixels=HEADER_PIXELS,
    )


def shown(value: float, unit: str) -> str:
    """A number as a person reads it."""
    match unit:
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "s" if value >= 3600:
            return f"{value / 3600:.1f} h"
        case "s" if value >= 1:
            return f"{value:.3g} s"
        case "s":
            return f"{1000 * value:.3g} ms"
        case "µs":
            return f"{value / 1000:.3g} ms"
        case _:
            return f"{value:,.4g}"


def _figure(panel: Panel, number: int) -> str:
    """The lines of a panel over time; empty for one that shows a moment."""
    if panel.kind != "timeseries":
        return ""
    width = WIDTH * panel.place.w / 24 / PIXELS_PER_INCH
    height = (UNIT_PIXELS * panel.place.h - TEXT_PIXELS) / PIXELS_PER_INCH
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    label_axes(axes, "", "", "")
    below = [0.0] * max((len(line.values) for line in panel.lines), default=0)
    for place, line in enumerate(panel.lines):
        colour = COLOURS[LINE_COLOURS[place % len(LINE_COLOURS)]].light
        times = date2num([datetime.fromtimestamp(at, UTC) for at in line.times])
        values = _stacked(line, below) if panel.is_stacked else line.values
        axes.plot(times, values, color=colour, linewidth=1.2)
    if panel.lines:
        # Whatever of it is a number: where nothing was counted, a share is none.
        moments = [at for line in panel.lines for at in (line.times[0], line.times[-1])]
        ends = [datetime.fromtimestamp(at, UTC) for at in (min(moments), max(moments))]
        axes.set_xlim(*date2num(ends))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, panel.unit)))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    return to_svg(figure, f"panel-{number}", f"{panel.title}: {panel.description}")


def _stacked(line: Line, below: list[float]) -> list[float]:
    """A line on top of those before it, which is then what the next one is put on."""
    for place, value in enumerate(line.values):
        below[place] += 0.0 if math.isnan(value) else value
    return list(below[: len(line.values)])

"""Panels and axes as all figures of the reports have them."""

from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from homefeed.pages.svg import COLOURS, GRID, INK

NUM_COLUMNS = 2
PANEL_INCHES = (4.4, 2.5)


def draw_panels(num_panels: int, num_columns: int = NUM_COLUMNS) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, row by row; a place without a panel stays empty."""
    num_rows = -(-num_panels // num_columns)
    size = (PANEL_INCHES[0] * num_columns, PANEL_INCHES[1] * num_rows)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    grid = figure.subplots(num_rows, num_columns, squeeze=False)
    panels = cast(list[Axes], grid.ravel().tolist())
    for spare in panels[num_panels:]:
        spare.set_axis_off()
    return figure, panels[:num_panels]


def label_axes(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Gives a panel its title, named axes and the quiet look of a report."""
    ink, grid = COLOURS[INK].light, COLOURS[GRID].light
    axes.set_title(title, fontsize=10, loc="left", color=ink)
    axes.set_xlabel(x_label, fontsize=8, color=ink)
    axes.set_ylabel(y_label, fontsize=8, color=ink)
    axes.tick_params(labelsize=8, color=grid, labelcolor=ink)
    axes.patch.set_visible(False)
    axes.grid(axis="y", color=grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(grid)

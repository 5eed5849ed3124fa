"""The report's charts: SVG elements that stand in its page and take its colours."""

from collections.abc import Mapping, Sequence
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from homefeed.evaluation.layout import (
    DECAYED_POPULARITY,
    EASE,
    MODEL,
    POPULARITY,
    Evaluation,
)
from homefeed.evaluation.svg import COLOURS, GRID, INK, to_svg
from homefeed.towers.layout import Training

LABELS = {
    MODEL: "Model",
    POPULARITY: "Popularity",
    DECAYED_POPULARITY: "Decayed popularity",
    EASE: "EASE",
}
METRICS = {
    "recall": ("Recall", "share of right pins"),
    "ndcg": ("NDCG", "share of the ideal gain"),
    "hit": ("Hit rate", "share of users"),
    "coverage": ("Coverage", "share of candidates"),
}
"""Title and unit of each metric."""
NUM_COLUMNS = 2
PANEL_INCHES = (4.4, 2.5)
BARS_WIDTH = 0.8
"""Of a group of bars, where the next group begins at 1."""


def metrics_chart(evaluation: Evaluation) -> str:
    """All recommenders beside each other: a panel for each metric, a group for each cutoff."""
    figure, panels = _panels(len(METRICS))
    groups = [f"first {k}" for k in evaluation.cutoffs]
    for axes, (metric, (title, unit)) in zip(panels, METRICS.items(), strict=True):
        series = {
            name: [values[f"{metric}@{k}"] for k in evaluation.cutoffs]
            for name, values in evaluation.recommenders.items()
        }
        _draw_bars(axes, groups, series)
        _label(axes, title, "pins recommended", unit)
    _add_legend(figure, panels[0])
    return to_svg(figure, "metrics", "Metrics of the model beside the baselines")


def history_chart(evaluation: Evaluation) -> str:
    """Recall by length of the users' history: a panel for each cutoff."""
    figure, panels = _panels(len(evaluation.cutoffs))
    buckets = evaluation.by_history_length
    groups = [f"{bucket.shortest:,}–{bucket.longest:,}" for bucket in buckets]
    for axes, k in zip(panels, evaluation.cutoffs, strict=True):
        series = {
            name: [bucket.recommenders[name][f"recall@{k}"] for bucket in buckets]
            for name in evaluation.recommenders
        }
        _draw_bars(axes, groups, series)
        _label(axes, f"Recall@{k}", "pins in the user's history", METRICS["recall"][1])
    _add_legend(figure, panels[0])
    return to_svg(figure, "history", "Recall by length of the user's history")


def training_chart(training: Training) -> str:
    """Loss and validation metrics by epoch; a dashed line marks the epoch that validation chose."""
    figure, (losses, validation) = _panels(2)
    epochs = [epoch.epoch for epoch in training.epochs]
    _draw_line(losses, epochs, [epoch.train_loss for epoch in training.epochs], MODEL)
    _label(losses, "Training loss", "epoch", "mean loss of a batch (nats)")
    colours = (MODEL, DECAYED_POPULARITY, EASE, POPULARITY)
    for place, name in enumerate(training.epochs[0].validation):
        values = [epoch.validation[name] for epoch in training.epochs]
        _draw_line(validation, epochs, values, colours[place % len(colours)], name)
    _label(validation, "Validation", "epoch", "mean over the split")
    validation.legend(frameon=False, fontsize=8, labelcolor=COLOURS[INK].light)
    for axes in (losses, validation):
        axes.axvline(training.best_epoch, color=COLOURS[INK].light, linestyle="--", linewidth=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return to_svg(figure, "training", "Training loss and validation metrics by epoch")


def _panels(num_panels: int) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, in rows of two; a place without a panel stays empty."""
    num_rows = -(-num_panels // NUM_COLUMNS)
    size = (PANEL_INCHES[0] * NUM_COLUMNS, PANEL_INCHES[1] * num_rows)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    grid = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False)
    panels = cast(list[Axes], grid.ravel().tolist())
    for spare in panels[num_panels:]:
        spare.set_axis_off()
    return figure, panels[:num_panels]


def _draw_bars(axes: Axes, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    width = BARS_WIDTH / len(series)
    for place, (name, values) in enumerate(series.items()):
        offset = (place + 0.5) * width - BARS_WIDTH / 2
        positions = [group + offset for group in range(len(groups))]
        axes.bar(positions, values, 0.9 * width, color=COLOURS[name].light, label=LABELS[name])
    axes.set_xticks(range(len(groups)), groups)


def _draw_line(
    axes: Axes, epochs: Sequence[int], values: Sequence[float], colour: str, label: str = ""
) -> None:
    axes.plot(epochs, values, marker=".", color=COLOURS[colour].light, label=label)


def _label(axes: Axes, title: str, x_label: str, y_label: str) -> None:
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


def _add_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=len(labels),
        frameon=False,
        fontsize=9,
        labelcolor=COLOURS[INK].light,
    )

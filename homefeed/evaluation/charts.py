"""The report's charts: SVG elements that stand in its page and take its colours."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from homefeed.evaluation.layout import (
    DECAYED_POPULARITY,
    EASE,
    MODEL,
    POPULARITY,
    PRODUCTION,
    Evaluation,
)
from homefeed.pages.axes import draw_panels, label_axes
from homefeed.pages.svg import AMBER, BLUE, COLOURS, GREEN, GREY, INK, VIOLET, to_svg
from homefeed.towers.layout import Training

LABELS = {
    MODEL: "Model",
    PRODUCTION: "In production",
    POPULARITY: "Popularity",
    DECAYED_POPULARITY: "Decayed popularity",
    EASE: "EASE",
}
COLOUR_OF = {
    MODEL: BLUE,
    PRODUCTION: VIOLET,
    POPULARITY: GREY,
    DECAYED_POPULARITY: AMBER,
    EASE: GREEN,
}
METRICS = {
    "recall": ("Recall", "share of right pins"),
    "ndcg": ("NDCG", "share of the ideal gain"),
    "hit": ("Hit rate", "share of users"),
    "coverage": ("Coverage", "share of candidates"),
}
"""Title and unit of each metric."""
BARS_WIDTH = 0.8
"""Of a group of bars, where the next group begins at 1."""


def metrics_chart(evaluation: Evaluation) -> str:
    """All recommenders beside each other: a panel for each metric, a group for each cutoff."""
    figure, panels = draw_panels(len(METRICS))
    groups = [f"first {k}" for k in evaluation.cutoffs]
    for axes, (metric, (title, unit)) in zip(panels, METRICS.items(), strict=True):
        series = {
            name: [values[f"{metric}@{k}"] for k in evaluation.cutoffs]
            for name, values in evaluation.recommenders.items()
        }
        _draw_bars(axes, groups, series)
        label_axes(axes, title, "pins recommended", unit)
    _add_legend(figure, panels[0])
    return to_svg(figure, "metrics", "Metrics of the model beside the baselines")


def history_chart(evaluation: Evaluation) -> str:
    """Recall by length of the users' history: a panel for each cutoff."""
    figure, panels = draw_panels(len(evaluation.cutoffs))
    buckets = evaluation.by_history_length
    groups = [f"{bucket.shortest:,}–{bucket.longest:,}" for bucket in buckets]
    for axes, k in zip(panels, evaluation.cutoffs, strict=True):
        series = {
            name: [bucket.recommenders[name][f"recall@{k}"] for bucket in buckets]
            for name in evaluation.recommenders
        }
        _draw_bars(axes, groups, series)
        label_axes(axes, f"Recall@{k}", "pins in the user's history", METRICS["recall"][1])
    _add_legend(figure, panels[0])
    return to_svg(figure, "history", "Recall by length of the user's history")


def training_chart(training: Training) -> str:
    """Loss and validation metrics by epoch; a dashed line marks the epoch that validation chose."""
    figure, (losses, validation) = draw_panels(2)
    epochs = [epoch.epoch for epoch in training.epochs]
    _draw_line(losses, epochs, [epoch.train_loss for epoch in training.epochs], BLUE)
    label_axes(losses, "Training loss", "epoch", "mean loss of a batch (nats)")
    colours = (BLUE, AMBER, GREEN, GREY)
    for place, name in enumerate(training.epochs[0].validation):
        values = [epoch.validation[name] for epoch in training.epochs]
        _draw_line(validation, epochs, values, colours[place % len(colours)], name)
    label_axes(validation, "Validation", "epoch", "mean over the split")
    validation.legend(frameon=False, fontsize=8, labelcolor=COLOURS[INK].light)
    for axes in (losses, validation):
        axes.axvline(training.best_epoch, color=COLOURS[INK].light, linestyle="--", linewidth=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return to_svg(figure, "training", "Training loss and validation metrics by epoch")


def _draw_bars(axes: Axes, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    width = BARS_WIDTH / len(series)
    for place, (name, values) in enumerate(series.items()):
        offset = (place + 0.5) * width - BARS_WIDTH / 2
        positions = [group + offset for group in range(len(groups))]
        axes.bar(
            positions, values, 0.9 * width, color=COLOURS[COLOUR_OF[name]].light, label=LABELS[name]
        )
    axes.set_xticks(range(len(groups)), groups)


def _draw_line(
    axes: Axes, epochs: Sequence[int], values: Sequence[float], colour: str, label: str = ""
) -> None:
    axes.plot(epochs, values, marker=".", color=COLOURS[colour].light, label=label)


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

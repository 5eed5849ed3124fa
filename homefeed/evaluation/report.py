"""The report of an evaluation: one HTML page that loads nothing from elsewhere and runs nothing."""

from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from homefeed.evaluation.charts import (
    LABELS,
    METRICS,
    history_chart,
    metrics_chart,
    training_chart,
)
from homefeed.evaluation.layout import Difference, Evaluation
from homefeed.pages.render import render
from homefeed.towers.layout import Epoch, Training

TEMPLATE = "report.html.j2"


class Row(NamedTuple):
    """One metric in the table: each recommender's value, the best of them, and differences."""

    name: str
    values: dict[str, float]
    best: str
    difference: Difference | None
    gain: Difference | None


def render_report(evaluation: Evaluation, training: Training) -> str:
    """The page as text; equal evaluations give equal pages."""
    return render(
        Path(__file__).parent / TEMPLATE,
        {"seconds": _seconds, "share": _share, "signed": _signed},
        evaluation=evaluation,
        training=training,
        rows=_rows(evaluation),
        labels=LABELS,
        metrics_chart=Markup(metrics_chart(evaluation)),
        history_chart=Markup(history_chart(evaluation)),
        training_chart=Markup(training_chart(training)),
    )


def _rows(evaluation: Evaluation) -> list[Row]:
    rows = []
    for metric, (title, _) in METRICS.items():
        for k in evaluation.cutoffs:
            key = f"{metric}@{k}"
            values = {name: own[key] for name, own in evaluation.recommenders.items()}
            best = max(values, key=lambda name: values[name])
            beside = evaluation.differences.get(key), evaluation.gains.get(key)
            rows.append(Row(f"{title}@{k}", values, best, *beside))
    return rows


def _seconds(epochs: tuple[Epoch, ...]) -> str:
    return f"{sum(sum(epoch.seconds.values()) for epoch in epochs):,.0f}"


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}"

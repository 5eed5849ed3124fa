"""What a corpus is like: what was left out and why, how fresh it is, what it covers."""

from typing import Any

import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.corpus.eligible import ELIGIBLE, VERDICT
from homefeed.dataset.layout import PIN_INDEX
from homefeed.dataset.statistics import SECONDS_A_DAY

RECENT_DAYS = 7
"""Of the engagements whose share with the corpus is told, and of what is new in it."""


def count_left_out(judged: ir.Table, num_pins: int) -> dict[str, int]:
    """Number of pins with engagements that are not in the corpus, by reason.

    Args:
        judged: pins with a counted event, with their verdict.
        num_pins: of the corpus.
    """
    counts = judged.group_by(VERDICT).agg(rows=_.count()).to_pyarrow()
    by_verdict = dict(zip(counts[VERDICT].to_pylist(), counts["rows"].to_pylist(), strict=True))
    # Too little engagement, a better pin of the same image, or beyond the corpus's size.
    by_verdict["outscored"] = by_verdict.pop(ELIGIBLE, 0) - num_pins
    return dict(sorted((reason, rows) for reason, rows in by_verdict.items() if rows))


def describe(corpus: ir.Table, known: ir.Table, as_of: int) -> dict[str, Any]:
    """Freshness and coverage of a corpus.

    Args:
        corpus: its pins, with pin_index, created_at and interests.
        known: events before serving time, with pin_index and timestamp.
        as_of: serving time, Unix seconds.

    Returns:
        `median_age_days` and `new_share`, over pins with a time of creation, null without any:
        new ones were made in the last seven days. `recent_coverage`: the share of the last seven
        days' engagements that are with pins of the corpus, null without any. `num_interests`:
        different ones of its pins.
    """
    aged = corpus.filter(_[Column.CREATED_AT].notnull())
    age = (as_of - _[Column.CREATED_AT]) / SECONDS_A_DAY
    ages = aged.agg(median=age.quantile(0.5), new=(age <= RECENT_DAYS).cast("float64").mean())
    recent = known.filter(_.timestamp >= as_of - RECENT_DAYS * SECONDS_A_DAY)
    is_there = _[PIN_INDEX].isin(corpus[PIN_INDEX]).cast("float64")
    coverage = recent.agg(coverage=is_there.mean())
    interests = corpus.select(interest=_[Column.INTERESTS].unnest()).distinct().count()
    (age_row,), (coverage_row,) = ages.to_pyarrow().to_pylist(), coverage.to_pyarrow().to_pylist()
    return {
        "median_age_days": age_row["median"],
        "new_share": age_row["new"],
        "recent_coverage": coverage_row["coverage"],
        "num_interests": int(interests.execute()),
    }

"""Which pins may be served, whatever their engagement: by age, hides, and the list of blocked."""

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.contracts import Column
from homefeed.corpus.config import CorpusConfig
from homefeed.dataset.layout import PIN_INDEX
from homefeed.dataset.statistics import SECONDS_A_DAY

VERDICT = "verdict"
ELIGIBLE, BLOCKED, TOO_OLD, HIDDEN = "eligible", "blocked", "too old", "hidden"


def add_verdicts(
    pins: ir.Table, known: ir.Table, excluded: ir.Table, as_of: int, config: CorpusConfig
) -> ir.Table:
    """Says of each pin whether it may be served, and if not, why; the first reason counts.

    Args:
        pins: with pin_index, created_at and is_blocked.
        known: events within the corpus' window that are no hides, with pin_index.
        excluded: events that are neither examples nor history, with pin_index, action, timestamp.
        as_of: Unix seconds.
        config: the rules.

    Returns:
        The pins with `verdict`.
    """
    hides = excluded.filter(_.action.isin(config.hide_actions) & (_.timestamp < as_of))
    if config.window_days is not None:
        hides = hides.filter(_.timestamp >= as_of - config.window_days * SECONDS_A_DAY)
    num_hides = hides.group_by(PIN_INDEX).agg(num_hides=_.count())
    num_events = known.group_by(PIN_INDEX).agg(num_events=_.count())
    counted = num_hides.left_join(num_events, PIN_INDEX).drop(f"{PIN_INDEX}_right")
    share = _.num_hides / (_.num_hides + _.num_events.fill_null(0))
    hidden = counted.filter((_.num_hides >= config.min_hides) & (share > config.max_hide_share))
    rules = [(_.is_blocked, BLOCKED)]
    if config.max_age_days is not None:
        oldest = as_of - round(config.max_age_days * SECONDS_A_DAY)
        rules.append((_[Column.CREATED_AT].fill_null(as_of) < oldest, TOO_OLD))
    rules.append((_[PIN_INDEX].isin(hidden[PIN_INDEX]), HIDDEN))
    return pins.mutate(**{VERDICT: ibis.cases(*rules, else_=ELIGIBLE)})

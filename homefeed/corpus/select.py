"""Selects the pins that can be served: the best by time-decayed engagement."""

from pathlib import Path
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.config import to_builtins
from homefeed.contracts import (
    Column,
    Granularity,
    Manifest,
    Window,
    read_manifest,
    write_manifest,
)
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.describe import count_left_out, describe
from homefeed.corpus.eligible import ELIGIBLE, VERDICT, add_verdicts
from homefeed.corpus.layout import CORPUS, CORPUS_FILE
from homefeed.dataset.items import ITEM_ID, items_of
from homefeed.dataset.layout import DATASET, EXCLUDED_FILE, PIN_INDEX, TEST
from homefeed.dataset.statistics import SECONDS_A_DAY, decayed_sum, statistics_at
from homefeed.engine import Engine, open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE, PINS_FILE
from homefeed.features.config import FeaturesConfig

SCORE = "score"


def select_corpus(
    dataset: Path, config: CorpusConfig, features: FeaturesConfig, output: Path
) -> Manifest:
    """Selects the corpus as of the data set's serving time, from all events but the test part's.

    Of the pins with one canonical signature the best alone is kept. A pin without any counted
    event is not in the corpus.

    Args:
        dataset: the dataset artifact.
        config: the corpus section of a recipe.
        features: the features section of a recipe.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact; its `details` say how many pins were left out and why, how
        old those are that stayed, and what share of the latest engagements is with them.

    Raises:
        ValueError: no pin is left.
    """
    source = read_manifest(dataset, DATASET)
    as_of = source.details["serving_time"]
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine:
        pins = engine.read(dataset / PINS_FILE)
        log = _Log(
            engine.read(dataset / ENGAGEMENTS_FILE).filter(
                (_.split != TEST) & (_.timestamp < as_of)
            ),
            engine.read(dataset / EXCLUDED_FILE),
        )
        if config.granularity is not None:
            pins, log = _regroup(engine, pins, log, config.granularity)
        judged = engine.keep("judged", _score(log, pins, as_of, config))
        best = _best(judged.filter(_.verdict == ELIGIBLE).drop(VERDICT), config)
        statistics = statistics_at(log.known, as_of, features.statistics)
        columns = dict.fromkeys(
            [
                Column.PIN_ID,
                Column.CANONICAL_SIGNATURE,
                SCORE,
                Column.INTERESTS,
                Column.TITLE,
                *(feature.column for feature in features.pin),
                *features.statistics.columns,
            ]
        )
        joined = best.join(statistics, PIN_INDEX)
        in_order = joined.select(*columns).order_by(_.score.desc(), Column.PIN_ID)
        num_pins = engine.write(in_order, output / CORPUS_FILE).count().execute()
        if not num_pins:
            raise ValueError(
                f"no pin of {dataset} that may be served has "
                f"corpus.min_engagements={config.min_engagements:g} within "
                f"corpus.window_days={config.window_days}: lower the one or widen the other"
            )
        details = {
            "as_of": as_of,
            "num_pins": num_pins,
            "left_out": count_left_out(judged, num_pins),
            **describe(best, log.known, as_of),
            "config": to_builtins(config),
        }
    assert source.window is not None
    return write_manifest(
        output,
        Manifest(
            kind=CORPUS,
            granularity=config.granularity or source.granularity,
            window=Window(_window_start(source.window.start, as_of, config), as_of),
            inputs={DATASET: source.fingerprint},
            details=details,
        ),
    )


class _Log(NamedTuple):
    """Events with pin_index, action and timestamp: those that count, and hides and the like."""

    known: ir.Table
    excluded: ir.Table


def _regroup(
    engine: Engine, pins: ir.Table, log: _Log, granularity: Granularity
) -> tuple[ir.Table, _Log]:
    """Pins and events by another granularity than that of the data set."""
    grouped = engine.keep("grouped", items_of(pins, granularity))
    of_items = grouped.select(Column.PIN_ID, item_index=_[PIN_INDEX])
    pairs = grouped.select(PIN_INDEX, pin_id=_.item_id).join(of_items, Column.PIN_ID)

    def with_items(events: ir.Table) -> ir.Table:
        joined = events.join(pairs.select(PIN_INDEX, "item_index"), PIN_INDEX)
        return joined.drop(PIN_INDEX).rename({PIN_INDEX: "item_index"})

    items = grouped.filter(_.pin_id == _.item_id).drop(ITEM_ID)
    return items, _Log(with_items(log.known), with_items(log.excluded))


def _score(log: _Log, pins: ir.Table, as_of: int, config: CorpusConfig) -> ir.Table:
    """The pins that have a counted event, with score and verdict."""
    known = log.known
    if config.window_days is not None:
        known = known.filter(_.timestamp >= as_of - config.window_days * SECONDS_A_DAY)
    score = decayed_sum(as_of, config.half_life_days, config.action_weights)
    scores = known.group_by(PIN_INDEX).agg(score=score)
    judged = add_verdicts(pins, known, log.excluded, as_of, config)
    return judged.join(scores, PIN_INDEX)


def _best(scored: ir.Table, config: CorpusConfig) -> ir.Table:
    """The best pin of each canonical signature, cut to the corpus's size."""
    enough = scored.filter(_.score >= config.min_engagements)
    by_score = [_.score.desc(), _.pin_id]
    place = ibis.row_number().over(group_by=Column.CANONICAL_SIGNATURE, order_by=by_score)
    unique = enough.mutate(place=place).filter(_.place == 0).drop("place")
    return unique.order_by(*by_score).limit(config.max_pins)


def _window_start(first: int, as_of: int, config: CorpusConfig) -> int:
    if config.window_days is None:
        return first
    return max(first, as_of - config.window_days * SECONDS_A_DAY)

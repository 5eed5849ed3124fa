"""Selects the pins that can be served: the best by time-decayed engagement."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _

from homefeed.config import to_builtins
from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.layout import CORPUS, CORPUS_FILE
from homefeed.dataset.layout import DATASET, PIN_INDEX, TEST
from homefeed.dataset.statistics import SECONDS_A_DAY, decayed_sum, statistics_at
from homefeed.engine import open_engine
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
        The manifest of the artifact.

    Raises:
        ValueError: no pin is left.
    """
    source = read_manifest(dataset, DATASET)
    as_of = source.details["serving_time"]
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine:
        engagements = engine.read(dataset / ENGAGEMENTS_FILE)
        known = engagements.filter((_.split != TEST) & (_.timestamp < as_of))
        pins = engine.read(dataset / PINS_FILE)
        best = _best(known, pins, as_of, config)
        statistics = statistics_at(known, as_of, features.statistics)
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
        joined = best.join(statistics, PIN_INDEX).select(*columns)
        in_order = joined.order_by(_.score.desc(), Column.PIN_ID)
        num_pins = engine.write(in_order, output / CORPUS_FILE).count().execute()
    if not num_pins:
        raise ValueError(
            f"no pin of {dataset} has corpus.min_engagements={config.min_engagements:g} within "
            f"corpus.window_days={config.window_days}: lower the one or widen the other"
        )
    assert source.window is not None
    details = {"as_of": as_of, "num_pins": num_pins, "config": to_builtins(config)}
    return write_manifest(
        output,
        Manifest(
            kind=CORPUS,
            window=Window(_window_start(source.window.start, as_of, config), as_of),
            inputs={DATASET: source.fingerprint},
            details=details,
        ),
    )


def _best(known: ir.Table, pins: ir.Table, as_of: int, config: CorpusConfig) -> ir.Table:
    """The best pin of each canonical signature with its score, cut to the corpus's size."""
    if config.window_days is not None:
        known = known.filter(_.timestamp >= as_of - config.window_days * SECONDS_A_DAY)
    score = decayed_sum(as_of, config.half_life_days, config.action_weights)
    scores = known.group_by(PIN_INDEX).agg(score=score).filter(_.score >= config.min_engagements)
    scored = pins.join(scores, PIN_INDEX)
    by_score = [_.score.desc(), _.pin_id]
    place = ibis.row_number().over(group_by=Column.CANONICAL_SIGNATURE, order_by=by_score)
    unique = scored.mutate(place=place).filter(_.place == 0).drop("place")
    return unique.order_by(*by_score).limit(config.max_pins)


def _window_start(first: int, as_of: int, config: CorpusConfig) -> int:
    if config.window_days is None:
        return first
    return max(first, as_of - config.window_days * SECONDS_A_DAY)

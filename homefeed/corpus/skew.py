"""Whether the corpus gives the pin tower the numbers that it was trained on."""

from pathlib import Path

import ibis.expr.types as ir
import msgspec
import numpy as np
from ibis import _

from homefeed.config import to_builtins
from homefeed.contracts import Column, Manifest, read_manifest, write_manifest
from homefeed.corpus.layout import CORPUS, CORPUS_FILE
from homefeed.data_checks.comparison import Comparison, compare_numbers, share_moved
from homefeed.data_checks.config import SkewConfig
from homefeed.data_checks.skew import Skew, conclude
from homefeed.dataset.layout import DATASET, EXAMPLES_FOLDER, PIN_INDEX, TRAIN, VALIDATION
from homefeed.dataset.statistics import SECONDS_A_DAY
from homefeed.engine import Engine, open_engine
from homefeed.events.layout import PINS_FILE
from homefeed.features.config import FeaturesConfig, Numeric, StatisticsConfig
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder

CORPUS_SKEW = "corpus_skew"
"""Kind of the artifact."""
CAUSES = (
    "Statistics that differ are usually counted for another unit (each pin or fine image signature "
    "in training, all duplicates of a canonical one in the corpus, or the other way round), over "
    "another window of events, or with other weights of actions; other numbers come from another "
    "state of the pins. Make both sides alike, then run again."
)


def check_skew(dataset: Path, corpus: Path, config: SkewConfig, output: Path) -> Manifest:
    """Compares each numeric pin feature of recent training rows with the same pins' in the corpus.

    A row weighs as a row: its own value against that of its pin in the corpus, so that the mix of
    pins is the same on both sides. Rows whose pin is not in the corpus are left out.

    Args:
        dataset: the dataset artifact, with examples.
        corpus: the corpus artifact.
        config: the skew section of a recipe.
        output: folder of the artifact: the comparisons, and a report to read.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: the corpus was not made of the data set, or a feature differs by more than a
            limit; names all such features.
    """
    source, pins = read_manifest(dataset, DATASET), read_manifest(corpus, CORPUS)
    if pins.inputs.get(DATASET) != source.fingerprint:
        raise ValueError(
            f"{corpus} was not selected from {dataset}: compare a data set with its own"
        )
    features = FeatureEncoder.load(dataset / FEATURES_FILE).config
    output.mkdir(parents=True, exist_ok=True)
    since = source.details["serving_time"] - config.recent_days * SECONDS_A_DAY
    with open_engine(output) as engine:
        rows = _pair(engine, dataset, corpus, features, since).to_pyarrow()
    sides = {
        name: rows[name].cast("float64").to_numpy().astype(np.float64) for name in rows.column_names
    }
    comparisons = [
        _compare(name, sides, features.statistics, config)
        for name in _numeric(features)
        if rows.num_rows
    ]
    skew = Skew(
        title="Pins' features in training and corpus",
        found_in="corpus",
        num_rows=rows.num_rows,
        comparisons=tuple(comparisons),
        causes=CAUSES,
    )
    conclude(skew, config, output)
    return write_manifest(
        output,
        Manifest(
            kind=CORPUS_SKEW,
            inputs={DATASET: source.fingerprint, CORPUS: pins.fingerprint},
            details={"psi": _psi(comparisons), "config": to_builtins(config)},
        ),
    )


def _compare(
    name: str, sides: dict[str, np.ndarray], statistics: StatisticsConfig, config: SkewConfig
) -> Comparison:
    trained, served = sides[_trained(name)], sides[name]
    is_judged = _is_steady(name, statistics, config)
    compared = compare_numbers(name, trained, served, is_judged=is_judged)
    if name not in statistics.columns:
        return compared
    return msgspec.structs.replace(compared, moved=share_moved(trained, served))


def _psi(comparisons: list[Comparison]) -> dict[str, float]:
    return {each.feature: each.psi for each in comparisons}


def _numeric(features: FeaturesConfig) -> list[str]:
    own = [feature.column for feature in features.pin if isinstance(feature, Numeric)]
    return [*own, *features.statistics.columns]


def _trained(name: str) -> str:
    return f"trained_{name}"


def _pair(
    engine: Engine, dataset: Path, corpus: Path, features: FeaturesConfig, since: float
) -> ir.Table:
    """Recent training rows: each number as it was trained on, and as the corpus has it."""
    examples = [
        engine.read(dataset / EXAMPLES_FOLDER / split / "*.parquet").filter(_.timestamp >= since)
        for split in (TRAIN, VALIDATION)
    ]
    pins = engine.read(dataset / PINS_FILE)
    own = [name for name in _numeric(features) if name not in features.statistics.columns]
    columns = [PIN_INDEX, *features.statistics.columns]
    recent = examples[0].select(columns).union(examples[1].select(columns))
    trained = recent.join(pins.select(PIN_INDEX, Column.PIN_ID, *own), PIN_INDEX)
    trained = trained.rename({_trained(name): name for name in _numeric(features)})
    served = engine.read(corpus / CORPUS_FILE).select(Column.PIN_ID, *_numeric(features))
    return trained.join(served, Column.PIN_ID).drop(Column.PIN_ID, PIN_INDEX)


def _is_steady(name: str, statistics: StatisticsConfig, config: SkewConfig) -> bool:
    """Whether a number keeps its distribution over the days that are compared."""
    half_lives = dict(zip(statistics.columns, statistics.half_life_days, strict=True))
    half_life = half_lives.get(name, 0.0)
    return not half_life or half_life >= config.min_half_lives * config.recent_days

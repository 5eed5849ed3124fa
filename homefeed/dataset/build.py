"""Builds the data set: splits, point-in-time histories and statistics, and the fitted encoder."""

from pathlib import Path

import ibis.expr.types as ir
from ibis import _

from homefeed.config import to_builtins
from homefeed.contracts import Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.examples import write_examples
from homefeed.dataset.fit import fit_encoder, fit_vocabulary
from homefeed.dataset.layout import (
    DATASET,
    EXAMPLES_FOLDER,
    SPLIT,
    SPLITS,
    TEST,
    TRAIN,
    VALIDATION,
)
from homefeed.dataset.splits import add_splits
from homefeed.dataset.tables import write_engagements, write_excluded, write_pins, write_users
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE, EVENTS
from homefeed.features.config import FeaturesConfig
from homefeed.features.encoder import FEATURES_FILE


def build_dataset(
    events: Path, config: DatasetConfig, features: FeaturesConfig, seed: int, output: Path
) -> Manifest:
    """Builds training, validation and test examples and fits the encoder.

    What an example knows comes from events of its own split and those before it, strictly earlier
    in time than itself.

    Args:
        events: the events artifact.
        config: the dataset section of a recipe.
        features: the features section of a recipe.
        seed: of the random split.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact; its `details["serving_time"]` is the instant (Unix seconds)
        as of which corpus and user snapshot are made: all training and validation events lie
        before it.

    Raises:
        ValueError: a feature does not fit the columns, or a split is left without events.
    """
    source = read_manifest(events, EVENTS)
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine:
        pins = write_pins(engine, events, features, output)
        users = write_users(engine, events, features, output)
        log = engine.read(events / ENGAGEMENTS_FILE)
        excluded = log.filter(_.action.isin(config.exclude_actions))
        write_excluded(engine, excluded, pins, output)
        split = add_splits(_kept(log, events, config), config, seed)
        engagements = write_engagements(engine, split, pins, users, output)
        windows, counts = _windows(engagements, config)
        train = engagements.filter(_.split == TRAIN)
        actions = fit_vocabulary([train.action])
        write_examples(engine, engagements, actions, features, config.split == "time", output)
        examples = engine.read(output / EXAMPLES_FOLDER / TRAIN / "*.parquet")
        fit_encoder(train, examples, pins, users, features).save(output / FEATURES_FILE)
        details = {
            "num_pins": pins.count().execute(),
            "num_users": users.count().execute(),
            "num_examples": counts,
            "windows": {split: [window.start, window.end] for split, window in windows.items()},
            "serving_time": _serving_time(windows, config),
            "seed": seed,
            "config": to_builtins(config),
        }
    return write_manifest(
        output,
        Manifest(
            kind=DATASET,
            granularity=features.granularity,
            window=Window(
                min(window.start for window in windows.values()),
                max(window.end for window in windows.values()),
            ),
            inputs={EVENTS: source.fingerprint},
            details=details,
        ),
    )


def _kept(log: ir.Table, events: Path, config: DatasetConfig) -> ir.Table:
    kept = log.filter(_.action.notin(config.exclude_actions))
    if not kept.count().execute():
        raise ValueError(
            f"dataset.exclude_actions={list(config.exclude_actions)} leaves no event of {events}"
        )
    return kept


def _windows(
    engagements: ir.Table, config: DatasetConfig
) -> tuple[dict[str, Window], dict[str, int]]:
    """The window and the number of events of each split."""
    spans = engagements.group_by(SPLIT).agg(
        first=_.timestamp.min(), last=_.timestamp.max(), rows=_.count()
    )
    found = {row[SPLIT]: row for row in spans.to_pyarrow().to_pylist()}
    if empty := [split for split in SPLITS if split not in found]:
        raise ValueError(
            f"dataset.split={config.split!r} leaves no event for {' and '.join(empty)}: the log "
            "has too few events or too few different timestamps; give other shares or another split"
        )
    windows = {split: Window(found[split]["first"], found[split]["last"] + 1) for split in SPLITS}
    if config.split == "time":
        starts = [windows[split].start for split in SPLITS]
        ends = [*starts[1:], windows[TEST].end]
        windows = {
            s: Window(*w) for s, w in zip(SPLITS, zip(starts, ends, strict=True), strict=True)
        }
    return windows, {split: found[split]["rows"] for split in SPLITS}


def _serving_time(windows: dict[str, Window], config: DatasetConfig) -> int:
    if config.split == "time":
        return windows[TEST].start
    return max(windows[TRAIN].end, windows[VALIDATION].end)

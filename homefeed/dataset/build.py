"""Builds the data set: splits, point-in-time histories and statistics, and the fitted encoder."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis import _
from ibis.backends.duckdb import Backend

from homefeed.config import to_builtins
from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.conform import conform
from homefeed.dataset.examples import write_examples
from homefeed.dataset.fit import fit_encoder, fit_vocabulary
from homefeed.dataset.layout import (
    DATASET,
    EXAMPLES_FOLDER,
    PIN_INDEX,
    SPLIT,
    SPLITS,
    TEST,
    TRAIN,
    USER_INDEX,
    VALIDATION,
)
from homefeed.dataset.splits import add_splits
from homefeed.engine import open_engine
from homefeed.events.layout import (
    ENGAGEMENTS_FILE,
    EVENTS,
    PINS_FILE,
    SIGNATURES_FILE,
    USERS_FILE,
)
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
        _write_pins(engine, events, features, output)
        _write_users(engine, events, features, output)
        pins = engine.read_parquet(output / PINS_FILE)
        users = engine.read_parquet(output / USERS_FILE)
        _write_engagements(engine, events, config, seed, pins, users, output)
        engagements = engine.read_parquet(output / ENGAGEMENTS_FILE)
        windows, counts = _windows(engagements, config)
        train = engagements.filter(_.split == TRAIN)
        actions = fit_vocabulary([train.action])
        write_examples(engine, engagements, actions, features, config.split == "time", output)
        examples = engine.read_parquet(output / EXAMPLES_FOLDER / TRAIN / "*.parquet")
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
            window=Window(
                min(window.start for window in windows.values()),
                max(window.end for window in windows.values()),
            ),
            inputs={EVENTS: source.fingerprint},
            details=details,
        ),
    )


def _write_pins(engine: Backend, events: Path, features: FeaturesConfig, output: Path) -> None:
    pins = engine.read_parquet(events / PINS_FILE)
    added = (PIN_INDEX, Column.CANONICAL_SIGNATURE, "score", *features.statistics.columns)
    pins = conform(pins, features.pin, "pin", added)
    signatures = engine.read_parquet(events / SIGNATURES_FILE)
    with_canonical = pins.left_join(signatures, Column.IMAGE_SIGNATURE).drop(
        f"{Column.IMAGE_SIGNATURE}_right"
    )
    numbered = with_canonical.mutate(
        canonical_signature=_.canonical_signature.fill_null(_.image_signature),
        pin_index=ibis.row_number().over(order_by=Column.PIN_ID),
    )
    numbered.order_by(PIN_INDEX).to_parquet(output / PINS_FILE)


def _write_users(engine: Backend, events: Path, features: FeaturesConfig, output: Path) -> None:
    users = engine.read_parquet(events / USERS_FILE)
    users = conform(users, features.user, "user", (USER_INDEX,))
    numbered = users.mutate(user_index=ibis.row_number().over(order_by=Column.USER_ID))
    numbered.order_by(USER_INDEX).to_parquet(output / USERS_FILE)


def _write_engagements(
    engine: Backend,
    events: Path,
    config: DatasetConfig,
    seed: int,
    pins: ir.Table,
    users: ir.Table,
    output: Path,
) -> None:
    engagements = engine.read_parquet(events / ENGAGEMENTS_FILE)
    kept = engagements.filter(_.action.notin(config.exclude_actions))
    if not kept.count().execute():
        raise ValueError(
            f"dataset.exclude_actions={list(config.exclude_actions)} leaves no event of {events}"
        )
    numbered = (
        add_splits(kept, config, seed)
        .join(users.select(Column.USER_ID, USER_INDEX), Column.USER_ID)
        .join(pins.select(Column.PIN_ID, PIN_INDEX), Column.PIN_ID)
    )
    numbered.order_by(Column.TIMESTAMP, Column.EVENT_ID).to_parquet(output / ENGAGEMENTS_FILE)


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

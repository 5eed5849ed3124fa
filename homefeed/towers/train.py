"""Trains the towers: validation chooses how long, then all that came before serving is learned."""

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from homefeed.config import to_builtins
from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.layout import DATASET, TRAIN, VALIDATION
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.id_embeddings.align import align
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.tables import read_pin_table, read_user_table
from homefeed.id_embeddings.tables import verify as verify_ids
from homefeed.id_embeddings.window_rule import check_window
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import TowersConfig, TrainingConfig, check_features, check_together
from homefeed.towers.data import EncodedDataset, read_examples
from homefeed.towers.device import choose_device
from homefeed.towers.ids import PINS, USERS, IdTables
from homefeed.towers.layout import (
    TOWERS,
    TOWERS_CONFIG_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    Training,
)
from homefeed.towers.model import TwoTowers
from homefeed.towers.objectives.learner import Learner
from homefeed.towers.objectives.make import make_objective
from homefeed.towers.samples.make import make_samples
from homefeed.towers.trainer import Trainer
from homefeed.towers.validate import Validation

READERS = {USERS: (read_user_table, Column.USER_ID), PINS: (read_pin_table, Column.PIN_ID)}


def train_towers(
    dataset: Path,
    towers: TowersConfig,
    training: TrainingConfig,
    seed: int,
    output: Path,
    checkpoints: Path | None = None,
    ids: Path | None = None,
) -> Manifest:
    """Trains both towers on the training part and keeps the epoch that validates best.

    With `training.refit` the towers are then trained anew for as many epochs on the training and
    the validation part. Equal inputs give equal weights on the same machine and device.

    Args:
        dataset: the dataset artifact.
        towers: the towers section of a recipe.
        training: the training section of a recipe.
        seed: of weights, dropout and the order of examples.
        output: folder of the artifact.
        checkpoints: folder from which an interrupted training of the same inputs goes on.
        ids: the artifact of ID embeddings, where `towers.ids` asks for them.

    Returns:
        The manifest of the artifact; the validation metrics are those before the refit.

    Raises:
        ValueError: the sections do not fit each other or the features, there is no device of the
            kind asked for, nothing to train or validate on, or the ID embeddings are missing or
            overlap with the training window.
        RuntimeError: the loss is no number any more.
    """
    check_together(towers, training)
    source = read_manifest(dataset, DATASET)
    encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
    check_features(encoder.config, towers, training)
    tables, used = _read_ids(towers, ids, source, encoder)
    id_dimension = next((table.shape[1] for table in tables.values()), 0)
    effective = {
        "towers": to_builtins(towers),
        "training": to_builtins(training),
        "seed": seed,
        "id_dimension": id_dimension,
    }
    device = choose_device(training.device)
    encoded = EncodedDataset(dataset, encoder)
    validation = Validation(dataset, encoded, seed, output)

    def trainer_of(splits: Sequence[str]) -> Trainer:
        _seed_everything(seed)
        most = training.max_examples_per_user_day
        engagements = read_examples(dataset, splits, encoder, most)
        samples = make_samples(dataset, splits, encoded, towers, training, seed)
        own = TwoTowers(encoder, towers, id_dimension)
        own.load_ids(tables)
        objective = make_objective(
            training.objective, encoded, engagements, samples.num_points, seed
        )
        return Trainer(Learner(own, objective).to(device), samples, training, seed, device)

    saved = {
        part: Checkpoints(checkpoints, [source.fingerprint, used, effective, part])
        for part in (TRAIN, VALIDATION)
    }
    trainer = trainer_of((TRAIN,))
    epochs = trainer.fit(training.max_epochs, saved[TRAIN], validation)
    best = epochs[trainer.best_epoch - 1]
    splits, refit = (TRAIN,), ()
    if training.refit:
        splits = (TRAIN, VALIDATION)
        trainer = trainer_of(splits)
        refit = trainer.fit(best.epoch, saved[VALIDATION])
    windows = [source.details["windows"][split] for split in splits]

    output.mkdir(parents=True, exist_ok=True)
    torch.save(trainer.weights, output / WEIGHTS_FILE)
    (output / TOWERS_CONFIG_FILE).write_text(json.dumps(effective, indent=2) + "\n")
    outcome = Training(
        epochs=epochs, best_epoch=best.epoch, metric=training.validation_metric, refit=refit
    )
    (output / TRAINING_FILE).write_bytes(msgspec.json.encode(outcome))
    shutil.copyfile(dataset / FEATURES_FILE, output / FEATURES_FILE)
    manifest = write_manifest(
        output,
        Manifest(
            kind=TOWERS,
            window=Window(min(start for start, _ in windows), max(end for _, end in windows)),
            inputs={DATASET: source.fingerprint, **used},
            details={
                "config": effective,
                "device": str(device),
                "num_parameters": trainer.num_parameters,
                "num_examples": trainer.num_examples,
                "best_epoch": best.epoch,
                "validation": best.validation,
            },
        ),
    )
    for each in saved.values():
        each.clear()
    return manifest


def _read_ids(
    towers: TowersConfig, ids: Path | None, source: Manifest, encoder: FeatureEncoder
) -> tuple[IdTables, dict[str, str]]:
    """Aligned vectors by table, and the fingerprint of the artifact they are from."""
    if towers.ids is None:
        return {}, {}
    if ids is None:
        raise ValueError(
            "towers.ids asks for ID embeddings and the training was given none: pre-train some "
            "(pipeline pretrain_ids) and choose them, or set towers.ids: null"
        )
    manifest = verify_ids(ids)
    check_window(manifest, Window(*source.details["windows"][TRAIN]))
    tables: dict[str, np.ndarray] = {}
    for name in towers.ids.tables:
        read, column = READERS[name]
        tables[name] = align(read(ids), encoder.vocabularies[column])
    return tables, {ID_EMBEDDINGS: manifest.fingerprint}


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

"""Trains the towers: validation chooses how long, then all that came before serving is learned."""

import json
import shutil
from pathlib import Path

import msgspec
import torch

from homefeed.config import to_builtins
from homefeed.contracts import Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.layout import DATASET, TRAIN, VALIDATION
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.data import EncodedDataset, read_examples
from homefeed.towers.layout import (
    TOWERS,
    TOWERS_CONFIG_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    Training,
)
from homefeed.towers.trainer import Trainer
from homefeed.towers.validate import Validation


def train_towers(
    dataset: Path,
    towers: TowersConfig,
    training: TrainingConfig,
    seed: int,
    output: Path,
    checkpoints: Path | None = None,
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

    Returns:
        The manifest of the artifact; the validation metrics are those before the refit.

    Raises:
        ValueError: no device of the kind asked for, or nothing to train or validate on.
        RuntimeError: the loss is no number any more.
    """
    source = read_manifest(dataset, DATASET)
    effective = {"towers": to_builtins(towers), "training": to_builtins(training), "seed": seed}
    facts = [source.fingerprint, effective]
    saved = {part: Checkpoints(checkpoints, [*facts, part]) for part in (TRAIN, VALIDATION)}
    encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
    encoded = EncodedDataset(dataset, encoder)
    validation = Validation(dataset, encoded, seed, output)
    most = training.max_examples_per_user_day
    examples = read_examples(dataset, (TRAIN,), encoder, most)
    trainer = Trainer(encoded, examples, towers, training, seed)
    epochs = trainer.fit(training.max_epochs, saved[TRAIN], validation)
    best = epochs[trainer.best_epoch - 1]
    splits, refit = (TRAIN,), ()
    if training.refit:
        splits = (TRAIN, VALIDATION)
        examples = read_examples(dataset, splits, encoder, most)
        trainer = Trainer(encoded, examples, towers, training, seed)
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
            inputs={DATASET: source.fingerprint},
            details={
                "config": effective,
                "device": str(trainer.device),
                "num_parameters": trainer.num_parameters,
                "num_examples": len(examples),
                "best_epoch": best.epoch,
                "validation": best.validation,
            },
        ),
    )
    for each in saved.values():
        each.clear()
    return manifest

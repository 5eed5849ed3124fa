"""Trains the towers: validation chooses how long, then all that came before serving is learned."""

import json
import random
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event

import msgspec
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from homefeed.config import to_builtins
from homefeed.contracts import Column, Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.layout import DATASET, TRAIN, VALIDATION
from homefeed.distributed.processes import process_group
from homefeed.features.encoder import FEATURES_FILE, OUT_OF_VOCABULARY_ROW, FeatureEncoder
from homefeed.id_embeddings.align import align
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.tables import read_pin_table, read_user_table
from homefeed.id_embeddings.tables import verify as verify_ids
from homefeed.id_embeddings.window_rule import check_table
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import (
    TowersConfig,
    TrainingConfig,
    check_features,
    check_processes,
    check_together,
)
from homefeed.towers.data import EncodedDataset, read_examples
from homefeed.towers.ids import IdTables
from homefeed.towers.ids_config import PINS, USERS
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
from homefeed.towers.parallel import Processes
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
    told_to_end: Event | None = None,
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
        told_to_end: set when this process is to save a checkpoint and end.

    Returns:
        The manifest of the artifact; the validation metrics are those before the refit.

    Raises:
        ValueError: the sections do not fit each other or the features, there is no device of the
            kind asked for, nothing to train or validate on, or the ID embeddings are missing or
            overlap with the training window.
        RuntimeError: the loss is no number any more, or this process was told to end.
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
    with process_group(training.device, "training") as device, warnings.catch_warnings():
        # torchrec 1.8 is written for what torch 2.13 means to replace, and is warned at every use.
        warnings.simplefilter("ignore", FutureWarning)
        processes = Processes.of_group(device)
        check_processes(training, processes.world_size)
        run = _Run(dataset, encoder, towers, training, seed, tables, processes)
        saved = {
            part: Checkpoints(checkpoints, [source.fingerprint, used, effective, part], told_to_end)
            for part in (TRAIN, VALIDATION)
        }
        trainer = run.trainer((TRAIN,))
        validation = Validation(dataset, run.encoded, seed, output)
        epochs = trainer.fit(training.max_epochs, saved[TRAIN], validation)
        best = epochs[trainer.best_epoch - 1]
        splits, refit = (TRAIN,), ()
        if training.refit:
            splits = (TRAIN, VALIDATION)
            trainer = run.trainer(splits)
            refit = trainer.fit(best.epoch, saved[VALIDATION])
        windows = [source.details["windows"][split] for split in splits]
        manifest = Manifest(
            kind=TOWERS,
            window=Window(min(start for start, _ in windows), max(end for _, end in windows)),
            inputs={DATASET: source.fingerprint, **used},
            details={
                "config": effective,
                "device": str(device),
                "num_processes": processes.world_size,
                "num_parameters": trainer.num_parameters,
                "num_examples": trainer.num_examples,
                "best_epoch": best.epoch,
                "validation": best.validation,
                **_describe_ids(tables),
            },
        )
        if processes.is_first:
            outcome = Training(
                epochs=epochs, best_epoch=best.epoch, metric=training.validation_metric, refit=refit
            )
            manifest = _write(output, manifest, trainer.weights, outcome, dataset / FEATURES_FILE)
            for each in saved.values():
                each.clear()
        # The others wait, so that whoever started them finds all of it written.
        dist.barrier()
    return manifest


@dataclass(frozen=True)
class _Run:
    """What the trainings of all splits share."""

    dataset: Path
    encoder: FeatureEncoder
    towers: TowersConfig
    training: TrainingConfig
    seed: int
    tables: IdTables
    processes: Processes

    @cached_property
    def encoded(self) -> EncodedDataset:
        """Users and pins."""
        return EncodedDataset(self.dataset, self.encoder)

    def trainer(self, splits: Sequence[str]) -> Trainer:
        """New towers, to be trained on some splits."""
        _seed_everything(self.seed)
        towers, training, seed = self.towers, self.training, self.seed
        shared = (towers, training, seed, self.processes)
        samples = make_samples(self.dataset, splits, self.encoded, *shared)
        id_dimension = next((table.shape[1] for table in self.tables.values()), 0)
        own = TwoTowers(self.encoder, towers, id_dimension, training.is_sharded)
        own.load_ids(self.tables)
        most = training.max_examples_per_user_day
        engagements = read_examples(self.dataset, splits, self.encoder, most)
        numbers = (samples.num_points, seed)
        objective = make_objective(training.objective, self.encoded, engagements, *numbers)
        return Trainer(Learner(own, objective), samples, training, seed, self.processes)


def _write(
    output: Path, manifest: Manifest, weights: dict[str, Tensor], outcome: Training, features: Path
) -> Manifest:
    output.mkdir(parents=True, exist_ok=True)
    torch.save(weights, output / WEIGHTS_FILE)
    config = manifest.details["config"]
    (output / TOWERS_CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    (output / TRAINING_FILE).write_bytes(msgspec.json.encode(outcome))
    shutil.copyfile(features, output / FEATURES_FILE)
    return write_manifest(output, manifest)


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
    check_table(manifest, Window(*source.details["windows"][TRAIN]), source.granularity)
    tables: dict[str, np.ndarray] = {}
    for name in towers.ids.tables:
        read, column = READERS[name]
        tables[name] = align(read(ids), encoder.vocabularies[column])
    return tables, {ID_EMBEDDINGS: manifest.fingerprint}


def _describe_ids(tables: IdTables) -> dict[str, dict[str, float]]:
    """Which share of each vocabulary has vectors of its own."""
    if not tables:
        return {}
    shares = {name: rows[OUT_OF_VOCABULARY_ROW + 1 :].any(axis=1) for name, rows in tables.items()}
    return {"ids_found": {name: round(float(has.mean()), 4) for name, has in shares.items()}}


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

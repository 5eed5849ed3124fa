"""Trains the towers: in-batch sampled softmax, early stop on validation, resumable."""

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from homefeed.config import to_builtins
from homefeed.contracts import Manifest, Window, read_manifest, write_manifest
from homefeed.dataset.layout import DATASET, TRAIN
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.towers.batches import Batches, Rows
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.data import EncodedDataset, read_examples
from homefeed.towers.layout import (
    TOWERS,
    TOWERS_CONFIG_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    Epoch,
    Training,
)
from homefeed.towers.losses import sampled_softmax
from homefeed.towers.model import TwoTowers
from homefeed.towers.validate import Validation

WARM_UP_BATCHES = 50
LAST_RATE = 0.02
"""Share of the learning rate that the linear decay over `max_epochs` ends at."""


def train_towers(
    dataset: Path,
    towers: TowersConfig,
    training: TrainingConfig,
    seed: int,
    output: Path,
    checkpoints: Path | None = None,
) -> Manifest:
    """Trains both towers and keeps the epoch that validates best.

    Equal inputs give equal weights on the same machine and device.

    Args:
        dataset: the dataset artifact.
        towers: the towers section of a recipe.
        training: the training section of a recipe.
        seed: of weights, dropout and the order of examples.
        output: folder of the artifact.
        checkpoints: folder from which an interrupted training of the same inputs goes on.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: no device of the kind asked for, or nothing to train or validate on.
        RuntimeError: the loss is no number any more.
    """
    source = read_manifest(dataset, DATASET)
    _seed_all(seed)
    trainer = Trainer(dataset, towers, training, seed, output)
    effective = {"towers": to_builtins(towers), "training": to_builtins(training), "seed": seed}
    saved = Checkpoints(checkpoints, source.fingerprint, effective)
    outcome = trainer.run(saved)

    output.mkdir(parents=True, exist_ok=True)
    torch.save(trainer.best_weights, output / WEIGHTS_FILE)
    (output / TOWERS_CONFIG_FILE).write_text(json.dumps(effective, indent=2) + "\n")
    (output / TRAINING_FILE).write_bytes(msgspec.json.encode(outcome))
    shutil.copyfile(dataset / FEATURES_FILE, output / FEATURES_FILE)
    best = outcome.epochs[outcome.best_epoch - 1]
    manifest = write_manifest(
        output,
        Manifest(
            kind=TOWERS,
            window=Window(*source.details["windows"][TRAIN]),
            inputs={DATASET: source.fingerprint},
            details={
                "config": effective,
                "device": str(trainer.device),
                "num_parameters": trainer.num_parameters,
                "best_epoch": outcome.best_epoch,
                "validation": best.validation,
            },
        ),
    )
    saved.clear()
    return manifest


class Trainer:
    """The training loop and all that changes in it."""

    def __init__(
        self,
        dataset: Path,
        towers: TowersConfig,
        training: TrainingConfig,
        seed: int,
        output: Path,
    ) -> None:
        self._config = training
        self.device = choose_device(training.device)
        encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
        self._encoded = EncodedDataset(dataset, encoder)
        self._examples = read_examples(dataset, TRAIN, encoder)
        if len(self._examples) < 2:
            raise ValueError(f"{dataset} has {len(self._examples)} training examples; 2 are needed")
        self._validation = Validation(dataset, self._encoded, encoder, seed, output)
        self._batches = Batches(
            self._examples.pins, training.batch_size, training.block_batches, seed
        )
        self._towers = TwoTowers(encoder, towers).to(self.device)
        self._log_temperature = nn.Parameter(
            torch.tensor(training.temperature, device=self.device).log(),
            requires_grad=training.learn_temperature,
        )
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(self._towers.parameters()), "weight_decay": training.weight_decay},
                {"params": [self._log_temperature], "weight_decay": 0.0},
            ]
        )
        self.num_parameters = sum(p.numel() for p in self._towers.parameters())
        self._epochs: list[Epoch] = []
        self._losses: list[float] = []
        self._seconds = 0.0
        self.best_weights: dict[str, Tensor] = {}

    def run(self, checkpoints: Checkpoints) -> Training:
        """Trains until validation gets no better, or `max_epochs`."""
        if (state := checkpoints.load(self.device)) is not None:
            self._restore(state)
        while not self._is_done():
            self._train_epoch(checkpoints)
            self._validate()
            checkpoints.save(self._state())
        return Training(
            epochs=tuple(self._epochs),
            best_epoch=self._best_epoch(),
            metric=self._config.validation_metric,
        )

    def _train_epoch(self, checkpoints: Checkpoints) -> None:
        epoch = len(self._epochs) + 1
        batches = self._batches.epoch(epoch)
        first = len(self._losses)
        started, saved = time.monotonic() - self._seconds, time.monotonic()
        self._towers.train()
        with tqdm(
            total=len(batches), initial=first, desc=f"epoch {epoch}", unit="batch"
        ) as progress:
            for place in range(first, len(batches)):
                step = (epoch - 1) * len(batches) + place
                self._set_rate(step, self._config.max_epochs * len(batches))
                self._losses.append(self._step(batches[place]))
                progress.update()
                progress.set_postfix(loss=f"{self._losses[-1]:.3f}", refresh=False)
                self._seconds = time.monotonic() - started
                if time.monotonic() - saved > self._config.checkpoint_seconds:
                    checkpoints.save(self._state())
                    saved = time.monotonic()

    def _step(self, batch: Rows) -> float:
        examples, rows = self._examples, batch.rows
        statistics = {name: values[rows] for name, values in examples.statistics.items()}
        users, pins = self._towers(
            self._encoded.users(examples.users[rows], examples.histories, rows),
            self._encoded.pins(examples.pins[rows], statistics),
        )
        facts = (batch.log_q, examples.users[rows], examples.pins[rows])
        log_q, user_ids, pin_ids = (torch.from_numpy(fact).to(self.device) for fact in facts)
        loss = sampled_softmax(users, pins, self._log_temperature.exp(), log_q, user_ids, pin_ids)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        with torch.no_grad():
            self._log_temperature.clamp_(min=float(np.log(self._config.min_temperature)))
        value = loss.item()
        if not np.isfinite(value):
            raise RuntimeError(
                f"the training loss is {value} in epoch {len(self._epochs) + 1}, batch "
                f"{len(self._losses) + 1}: lower training.learning_rate="
                f"{self._config.learning_rate:g}"
            )
        return value

    def _validate(self) -> None:
        epoch = Epoch(
            epoch=len(self._epochs) + 1,
            train_loss=float(np.mean(self._losses)),
            validation=self._validation.measure(self._towers),
            temperature=self._log_temperature.exp().item(),
            seconds=round(self._seconds, 3),
        )
        self._epochs.append(epoch)
        self._losses, self._seconds = [], 0.0
        if self._best_epoch() == epoch.epoch:
            self.best_weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self._towers.state_dict().items()
            }
        shown = ", ".join(f"{name} {value:.4f}" for name, value in epoch.validation.items())
        tqdm.write(f"epoch {epoch.epoch}: loss {epoch.train_loss:.4f}, validation {shown}")

    def _best_epoch(self) -> int:
        """The epoch that validated best, the first of equal ones; counts from 1."""
        return 1 + int(
            np.argmax([e.validation[self._config.validation_metric] for e in self._epochs])
        )

    def _is_done(self) -> bool:
        num_epochs = len(self._epochs)
        if not num_epochs:
            return False
        is_stuck = num_epochs - self._best_epoch() > self._config.patience
        return num_epochs >= self._config.max_epochs or is_stuck

    def _set_rate(self, step: int, num_steps: int) -> None:
        warmed = min(1.0, (step + 1) / WARM_UP_BATCHES)
        rate = self._config.learning_rate * warmed * max(LAST_RATE, 1 - step / num_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _state(self) -> dict[str, Any]:
        return {
            "towers": self._towers.state_dict(),
            "log_temperature": self._log_temperature.detach(),
            "optimizer": self._optimizer.state_dict(),
            "epochs": msgspec.to_builtins(self._epochs),
            "losses": self._losses,
            "seconds": self._seconds,
            "best_weights": self.best_weights,
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._towers.load_state_dict(state["towers"])
        with torch.no_grad():
            self._log_temperature.copy_(state["log_temperature"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._epochs = msgspec.convert(state["epochs"], list[Epoch])
        self._losses, self._seconds = state["losses"], state["seconds"]
        self.best_weights = state["best_weights"]
        torch.set_rng_state(state["random"].cpu())
        if state["cuda_random"]:
            torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda_random"]])
        tqdm.write(f"going on after {len(self._epochs)} epochs and {len(self._losses)} batches")


def choose_device(wanted: str) -> torch.device:
    """The device to train on.

    Raises:
        ValueError: a GPU is asked for and torch sees none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"training.device={wanted!r} but torch {torch.__version__} sees no GPU: give the step "
            "an accelerator and the GPU image, or set training.device: cpu"
        )
    return torch.device(wanted)


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

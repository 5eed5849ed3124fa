"""The training loop: steps, early stop on validation, checkpoints."""

import io
import math
import time
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel
from tqdm import tqdm

from homefeed.distributed.checkpoint import fill
from homefeed.distributed.sharding import gather_state
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import TrainingConfig
from homefeed.towers.layout import Epoch
from homefeed.towers.objectives.learner import Inputs, Learner
from homefeed.towers.parallel import Processes, own_parameters, spread
from homefeed.towers.samples.make import Samples
from homefeed.towers.stopwatch import Stopwatch
from homefeed.towers.validate import Validation

WARM_UP = 50
"""Batches over which the learning rate grows to its full size."""
PROGRESS = "progress"
MANY = 1_000_000_000
"""More batches than an epoch has: it numbers checkpoints."""


class Trainer:
    """One training: the loop, and all that changes in it."""

    def __init__(
        self,
        learner: Learner,
        samples: Samples,
        training: TrainingConfig,
        seed: int,
        processes: Processes,
    ) -> None:
        """Takes new towers.

        Args:
            learner: towers and objective.
            samples: what to train on.
            training: how.
            seed: of what objectives draw, and of tables that are spread.
            processes: that train in step, each with a trainer of its own.
        """
        self._learner, self._samples, self._config, self._seed = learner, samples, training, seed
        self._processes = processes
        self.num_parameters = sum(p.numel() for p in learner.towers.parameters())
        self._model = spread(learner, training, processes, seed)
        if training.compile:
            learner.towers.user.compile()
            learner.towers.pin.compile()
        self._is_sharded = training.is_sharded
        plain, own = own_parameters(self._model, learner)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": plain, "weight_decay": training.weight_decay},
                *([{"params": own, "weight_decay": 0.0}] if own else []),
            ]
        )
        self.num_examples = samples.num_examples
        self._epochs: list[Epoch] = []
        self._losses: list[float] = []
        self._watch = Stopwatch()
        self.weights: dict[str, Tensor] = {}
        """What was trained, on the CPU."""

    def fit(
        self, num_epochs: int, checkpoints: Checkpoints, validation: Validation | None = None
    ) -> tuple[Epoch, ...]:
        """Trains for some epochs, or until validation gets no better.

        Args:
            num_epochs: at most so many; the learning rate falls over `training.max_epochs`.
            checkpoints: where an interrupted training goes on from.
            validation: chooses the epoch whose weights are kept; without it they are the last's.

        Raises:
            RuntimeError: the loss is no number any more, or this process was told to end.
        """
        self._go_on(checkpoints)
        while len(self._epochs) < num_epochs and not (validation and self._is_stuck()):
            self._train_epoch(checkpoints)
            self._end_epoch(validation)
            self._save(checkpoints)
        return tuple(self._epochs)

    def _train_epoch(self, checkpoints: Checkpoints) -> None:
        epoch, first = len(self._epochs) + 1, len(self._losses)
        num_batches = self._samples.num_batches(epoch)
        self._learner.train()
        saved = time.monotonic()
        samples = self._samples.epoch(epoch, first)
        with tqdm(
            total=num_batches,
            initial=first,
            desc=f"epoch {epoch}",
            unit="batch",
            disable=not self._processes.is_first,
        ) as progress:
            for number in range(first, num_batches):
                self._set_rate(epoch - 1 + number / num_batches, number + (epoch > 1) * WARM_UP)
                with self._watch.timed("data"):
                    sample = next(samples)
                    inputs = self._learner.objective.prepare(sample, (self._seed, epoch, number, 2))
                self._losses.append(self._step(inputs))
                progress.update()
                progress.set_postfix(loss=f"{self._losses[-1]:.3f}", refresh=False)
                if self._is_time(checkpoints, saved):
                    self._save(checkpoints)
                    saved = time.monotonic()

    def _step(self, inputs: Inputs) -> float:
        is_half = self._config.precision == "bfloat16"
        with (
            self._watch.timed("forward"),
            torch.autocast(self._processes.device.type, torch.bfloat16, enabled=is_half),
        ):
            loss = self._model(inputs)
        with self._watch.timed("backward"):
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with self._watch.timed("optimizer"):
            self._optimizer.step()
            self._learner.bound()
            value = self._processes.mean(loss.item())
        if not np.isfinite(value):
            raise RuntimeError(
                f"the training loss is {value} in epoch {len(self._epochs) + 1}, batch "
                f"{len(self._losses) + 1}: lower training.learning_rate="
                f"{self._config.learning_rate:g}"
            )
        return value

    def _end_epoch(self, validation: Validation | None) -> None:
        epoch = Epoch(
            epoch=len(self._epochs) + 1,
            train_loss=float(np.mean(self._losses)),
            validation=validation.measure(self._learner.towers) if validation else {},
            temperature=self._learner.temperature,
            seconds={part: round(seconds, 3) for part, seconds in self._watch.seconds.items()},
            num_examples=len(self._losses) * self._samples.batch_size,
        )
        self._epochs.append(epoch)
        self._losses, self._watch = [], Stopwatch()
        if validation is None or self.best_epoch == epoch.epoch:
            self.weights = gather_state(self._learner.towers.state_dict())
        shown = ", ".join(f"{name} {value:.4f}" for name, value in epoch.validation.items())
        if self._processes.is_first:
            tqdm.write(
                f"epoch {epoch.epoch}: loss {epoch.train_loss:.4f}{', ' * bool(shown)}{shown}"
            )

    @property
    def best_epoch(self) -> int:
        """The epoch that validated best, the first of equal ones; counts from 1."""
        metric = self._config.validation_metric
        return 1 + int(np.argmax([epoch.validation[metric] for epoch in self._epochs]))

    def _is_stuck(self) -> bool:
        num_epochs = len(self._epochs)
        return num_epochs > 0 and num_epochs - self.best_epoch >= self._config.patience

    def _set_rate(self, num_epochs: float, num_steps: int) -> None:
        """The rate after so many epochs and steps."""
        config, warmed = self._config, min(1.0, (num_steps + 1) / WARM_UP)
        rate = config.learning_rate * warmed * _decayed(config, num_epochs / config.max_epochs)
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _is_time(self, checkpoints: Checkpoints, saved: float) -> bool:
        """Whether to save again; in step with the other processes, any of which may have to end."""
        is_late = time.monotonic() - saved > self._config.checkpoint_seconds
        is_wanted = checkpoints.is_last or (is_late and self._processes.is_first)
        return self._processes.mean(float(is_wanted)) > 0

    def _save(self, checkpoints: Checkpoints) -> None:
        self._write(checkpoints)
        if checkpoints.is_last:
            raise RuntimeError(
                f"the training was told to end, after {len(self._epochs)} epochs and "
                f"{len(self._losses)} batches"
            )

    def _write(self, checkpoints: Checkpoints) -> None:
        if not self._is_sharded:
            whole = {
                "learner": self._learner.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            }
            checkpoints.save(whole | self._progress())
            return
        number = len(self._epochs) * MANY + len(self._losses)
        progress = io.BytesIO()
        torch.save(self._progress(), progress)
        checkpoints.save_sharded(self._sharded() | {PROGRESS: progress.getvalue()}, number)

    def _go_on(self, checkpoints: Checkpoints) -> None:
        """From a checkpoint, where there is one."""
        if self._is_sharded:
            fill(self._optimizer)
            # In one piece: of a dictionary only the keys that are there would be read.
            state = self._sharded() | {PROGRESS: b""}
            if checkpoints.load_sharded(state):
                progress = io.BytesIO(state[PROGRESS])
                self._restore(torch.load(progress, weights_only=True))
        elif (state := checkpoints.load(self._processes.device)) is not None:
            self._learner.load_state_dict(state["learner"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._restore(state)

    def _sharded(self) -> dict[str, Any]:
        """What is written as it is spread."""
        assert isinstance(self._model, DistributedModelParallel)
        tables = self._model.fused_optimizer
        return {"model": self._model, "tables": tables, "optimizer": self._optimizer}

    def _progress(self) -> dict[str, Any]:
        return {
            "samples": self._samples.state(),
            "epochs": msgspec.to_builtins(self._epochs),
            "losses": self._losses,
            "seconds": self._watch.seconds,
            "weights": self.weights,
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self._samples.restore(state["samples"])
        self._epochs = msgspec.convert(state["epochs"], list[Epoch])
        self._losses, self._watch.seconds = state["losses"], state["seconds"]
        self.weights = state["weights"]
        torch.set_rng_state(state["random"].cpu())
        if state["cuda_random"]:
            torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda_random"]])
        if self._processes.is_first:
            done = f"{len(self._epochs)} epochs and {len(self._losses)} batches"
            tqdm.write(f"going on after {done}")


def _decayed(config: TrainingConfig, done: float) -> float:
    """Share of the learning rate that is left once a share of `max_epochs` is done."""
    if config.decay == "cosine":
        return config.last_rate + (1 - config.last_rate) * (1 + math.cos(math.pi * done)) / 2
    return max(config.last_rate, 1 - done)

"""The training loop: in-batch sampled softmax, early stop on validation, resumable."""

import random
import time
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from homefeed.features.encoder import HISTORY, HISTORY_ACTIONS
from homefeed.losses import sampled_softmax
from homefeed.towers.batches import Batches, Rows
from homefeed.towers.checkpoint import Checkpoints
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.data import Batch, EncodedDataset, Examples
from homefeed.towers.layout import Epoch
from homefeed.towers.model import TwoTowers
from homefeed.towers.validate import Validation

WARM_UP_BATCHES = 50
LAST_RATE = 0.5
"""Share of the learning rate that the linear decay over `max_epochs` ends at: not near zero, as the
examples that come last are the ones nearest to what is served."""


class Trainer:
    """One training: the loop, and all that changes in it."""

    def __init__(
        self,
        encoded: EncodedDataset,
        examples: Examples,
        towers: TowersConfig,
        training: TrainingConfig,
        seed: int,
    ) -> None:
        """Makes new towers.

        Args:
            encoded: users and pins of the data set.
            examples: what to train on.
            towers: shapes.
            training: how.
            seed: of weights, dropout and the order of examples.

        Raises:
            ValueError: no device of the kind asked for.
        """
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self._config = training
        self._encoded, self._examples = encoded, examples
        self.device = choose_device(training.device)
        self._batches = Batches(examples.pins, training.batch_size, training.block_batches, seed)
        self._towers = TwoTowers(encoded.encoder, towers).to(self.device)
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
            RuntimeError: the loss is no number any more.
        """
        if (state := checkpoints.load(self.device)) is not None:
            self._restore(state)
        while len(self._epochs) < num_epochs and not (validation and self._is_stuck()):
            self._train_epoch(checkpoints)
            self._end_epoch(validation)
            checkpoints.save(self._state())
        return tuple(self._epochs)

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
        known = self._encoded.users(examples.users[rows], examples.histories, rows)
        users, pins = self._towers(
            self._drop_history(known), self._encoded.pins(examples.pins[rows], statistics)
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

    def _drop_history(self, users: Batch) -> Batch:
        is_kept = torch.rand(users[HISTORY].shape) >= self._config.history_dropout
        dropped = {name: users[name] * is_kept for name in (HISTORY, HISTORY_ACTIONS)}
        return users | dropped

    def _end_epoch(self, validation: Validation | None) -> None:
        epoch = Epoch(
            epoch=len(self._epochs) + 1,
            train_loss=float(np.mean(self._losses)),
            validation=validation.measure(self._towers) if validation else {},
            temperature=self._log_temperature.exp().item(),
            seconds=round(self._seconds, 3),
        )
        self._epochs.append(epoch)
        self._losses, self._seconds = [], 0.0
        if validation is None or self.best_epoch == epoch.epoch:
            self.weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self._towers.state_dict().items()
            }
        shown = ", ".join(f"{name} {value:.4f}" for name, value in epoch.validation.items())
        tqdm.write(f"epoch {epoch.epoch}: loss {epoch.train_loss:.4f}" + f", {shown}" * bool(shown))

    @property
    def best_epoch(self) -> int:
        """The epoch that validated best, the first of equal ones; counts from 1."""
        metric = self._config.validation_metric
        return 1 + int(np.argmax([epoch.validation[metric] for epoch in self._epochs]))

    def _is_stuck(self) -> bool:
        num_epochs = len(self._epochs)
        return num_epochs > 0 and num_epochs - self.best_epoch >= self._config.patience

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
            "weights": self.weights,
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
        self.weights = state["weights"]
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

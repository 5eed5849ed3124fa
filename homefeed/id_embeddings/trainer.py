"""The training loop: dot products of ID embeddings, in step over all processes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from homefeed.distributed.gather import of_all
from homefeed.id_embeddings.batches import Batch, Batches
from homefeed.id_embeddings.config import PretrainingConfig
from homefeed.id_embeddings.layout import Epoch
from homefeed.id_embeddings.prepare import Pairs
from homefeed.id_embeddings.sharding import FEATURES, NEGATIVE, PIN, USER, ShardedTables
from homefeed.losses import sampled_softmax

Measure = Callable[[dict[str, Tensor]], dict[str, float]]
"""Metrics of both tables of unit vectors; asked of the first process alone."""


class Trainer:
    """One training of new tables; every process makes one and calls the same methods."""

    def __init__(
        self, pairs: Pairs, config: PretrainingConfig, seed: int, device: torch.device
    ) -> None:
        self._rank, self._world_size = dist.get_rank(), dist.get_world_size()
        self._config, self._device = config, device
        self._batches = Batches(pairs, config.batch_size, self._world_size, seed)
        self._log_q = torch.from_numpy(self._batches.log_q).to(device)
        self._tables = ShardedTables(pairs.num_users, pairs.num_pins, config, seed, device)

    def fit(self, num_epochs: int, measure: Measure | None = None) -> tuple[Epoch, ...]:
        """Trains for some epochs.

        Args:
            num_epochs: how many.
            measure: validates after each; without it there are no metrics.

        Returns:
            What came of each epoch, the same in every process.

        Raises:
            RuntimeError: the loss is no number any more.
        """
        epochs = []
        for number in range(1, num_epochs + 1):
            loss = self._train_epoch(number)
            validation = self._validate(measure) if measure else {}
            epochs.append(Epoch(epoch=number, train_loss=loss, validation=validation))
            if self._rank == 0:
                shown = "".join(f", {name} {value:.4f}" for name, value in validation.items())
                tqdm.write(f"epoch {number}: loss {loss:.4f}{shown}")
        return tuple(epochs)

    def gather(self) -> dict[str, Tensor]:
        """Both tables as unit vectors in the first process's memory; in others empty."""
        return {
            name: normalize(table, dim=-1) if len(table) else table
            for name, table in self._tables.gather().items()
        }

    def _train_epoch(self, number: int) -> float:
        total = torch.zeros((), device=self._device)
        progress = tqdm(
            self._batches.epoch(number),
            total=len(self._batches),
            desc=f"epoch {number}",
            unit="batch",
            disable=self._rank != 0,
        )
        for batch in progress:
            total += self._step(batch)
        dist.all_reduce(total)
        loss = total.item() / len(self._batches) / self._world_size
        if not np.isfinite(loss):
            raise RuntimeError(
                f"the mean loss of epoch {number} is {loss}: lower pretraining.learning_rate="
                f"{self._config.learning_rate:g}"
            )
        return loss

    def _step(self, batch: Batch) -> Tensor:
        """One batch, of which this process takes its share; returns the share's mean loss."""
        whole = {
            name: torch.from_numpy(rows).to(self._device)
            for name, rows in zip(FEATURES, batch, strict=True)
        }
        share = dict(zip(FEATURES, batch.share(self._rank, self._world_size), strict=True))
        own = {name: torch.from_numpy(rows) for name, rows in share.items()}
        users, pins, negatives = (normalize(each, dim=-1) for each in self._tables(own))
        pin_ids = torch.cat([whole[PIN], whole[NEGATIVE]])
        loss = sampled_softmax(
            users=users,
            candidates=torch.cat([of_all(pins), of_all(negatives)]),
            temperature=self._config.temperature,
            log_q=self._log_q[pin_ids],
            user_ids=whole[USER],
            pin_ids=pin_ids,
            first=self._rank * len(users),
        )
        loss.backward()
        return loss.detach()

    def _validate(self, measure: Measure) -> dict[str, float]:
        tables = self.gather()
        found: list[Any] = [measure(tables) if self._rank == 0 else None]
        dist.broadcast_object_list(found)
        return found[0]

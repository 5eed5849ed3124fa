"""User and pin table, their rows spread over the processes by torchrec's planner.

What the tables start from and what they are gathered into does not depend on how many processes
there are.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from homefeed.distributed.sharding import gather_table, shard, start_rows
from homefeed.id_embeddings.config import PretrainingConfig
from homefeed.id_embeddings.layout import PINS, USERS

USER, PIN, NEGATIVE = "user", "pin", "negative"
FEATURES = (USER, PIN, NEGATIVE)


class ShardedTables:
    """Both tables; a collective: every process makes one and calls the same methods."""

    def __init__(
        self,
        num_users: int,
        num_pins: int,
        config: PretrainingConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        """Makes new tables of random vectors of about unit length.

        Args:
            num_users: rows of the user table.
            num_pins: rows of the pin table.
            config: dimension, optimizer and sharding.
            seed: of the vectors.
            device: of this process.
        """
        sizes = {USERS: (num_users, [USER]), PINS: (num_pins, [PIN, NEGATIVE])}
        # No process holds a whole table: it gets its memory when it is sharded.
        collection = EmbeddingBagCollection(
            device=torch.device("meta"),
            tables=[
                EmbeddingBagConfig(
                    name=name,
                    embedding_dim=config.dimension,
                    num_embeddings=num_rows,
                    feature_names=features,
                )
                for name, (num_rows, features) in sizes.items()
            ],
        )
        apply_optimizer_in_backward(
            RowWiseAdagrad, collection.parameters(), {"lr": config.learning_rate}
        )
        self._model = shard(nn.Sequential(collection), config.sharding, device)
        self._device = device
        for place, (_, table) in enumerate(self._tables()):
            start_rows(table, (seed, place), config.dimension**-0.5)

    def __call__(self, rows: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Vectors float32 [B, D] of each of `FEATURES`, by their rows, int64 [B] each.

        The optimizer's step is part of their gradient's way back.
        """
        values = torch.cat([rows[name] for name in FEATURES]).to(self._device)
        lengths = torch.ones(len(values), dtype=torch.int32, device=self._device)
        found = self._model(KeyedJaggedTensor(list(FEATURES), values, lengths=lengths)).wait()
        return tuple(found[name] for name in FEATURES)

    def gather(self) -> dict[str, Tensor]:
        """The whole tables in the first process's memory, [rows, D] each; in others empty."""
        return {name: gather_table(table) for name, table in self._tables()}

    def _tables(self) -> Iterator[tuple[str, ShardedTensor]]:
        """Name and shards of each table, in an order that is the same everywhere."""
        state = self._model.state_dict()
        for name in sorted(state):
            yield name.split(".")[-2], state[name]

"""User and pin table, their rows spread over the processes by torchrec's planner.

What the tables start from and what they are gathered into does not depend on how many processes
there are.
"""

import logging
import os
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.types import ModuleSharder
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from homefeed.id_embeddings.config import PretrainingConfig
from homefeed.id_embeddings.layout import PINS, USERS

USER, PIN, NEGATIVE = "user", "pin", "negative"
FEATURES = (USER, PIN, NEGATIVE)
ROWS_AT_ONCE = 65_536
"""Rows that one generator starts: whoever holds some of them draws all of them."""


class _RowSharder(EmbeddingBagCollectionSharder):
    """Shards by rows, on the CPU as well, where torchrec's own offers whole tables alone."""

    def __init__(self, sharding: str) -> None:
        super().__init__()
        self._sharding = sharding

    def sharding_types(self, compute_device_type: str) -> list[str]:
        """What the planner may choose from."""
        return [self._sharding]


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
        module = nn.Sequential(collection)
        sharders = [cast(ModuleSharder[nn.Module], _RowSharder(config.sharding))]
        plan = _planner(device).collective_plan(module, sharders, dist.group.WORLD)
        self._model = DistributedModelParallel(module, device=device, plan=plan, sharders=sharders)
        self._device = device
        for place, (_, table) in enumerate(self._tables()):
            _start(table, (seed, place))

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
        gathered = {}
        for name, table in self._tables():
            is_first = dist.get_rank() == 0
            whole = torch.empty(table.size() if is_first else (0,))
            for part in table.metadata().shards_metadata:
                assert part.placement is not None
                owner = part.placement.rank()
                rows = slice(part.shard_offsets[0], part.shard_offsets[0] + part.shard_sizes[0])
                if owner == dist.get_rank():
                    (own,) = table.local_shards()
                    if is_first:
                        whole[rows] = own.tensor.detach().cpu()
                    else:
                        dist.send(own.tensor.detach().cpu().contiguous(), dst=0)
                elif is_first:
                    dist.recv(whole[rows], src=owner)
            gathered[name] = whole
        return gathered

    def _tables(self) -> Iterator[tuple[str, ShardedTensor]]:
        """Name and shards of each table, in an order that is the same everywhere."""
        state = self._model.state_dict()
        for name in sorted(state):
            yield name.split(".")[-2], state[name]


def _planner(device: torch.device) -> EmbeddingShardingPlanner:
    memory = {}
    if device.type == "cuda":
        memory = {"hbm_cap": torch.cuda.get_device_properties(device).total_memory}
    # It warns of the way that its own documentation makes one.
    logging.getLogger("torchrec").setLevel(logging.ERROR)
    return EmbeddingShardingPlanner(
        Topology(
            world_size=dist.get_world_size(),
            local_world_size=int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
            compute_device=device.type,
            **memory,
        )
    )


def _start(table: ShardedTensor, seed: tuple[int, int]) -> None:
    """Gives the rows that this process holds their first vectors, which are the rows' own."""
    _, dimension = table.size()
    for shard in table.local_shards():
        first = shard.metadata.shard_offsets[0]
        last = first + shard.metadata.shard_sizes[0]
        for number in range(first // ROWS_AT_ONCE, -(-last // ROWS_AT_ONCE)):
            start = number * ROWS_AT_ONCE
            random = np.random.default_rng((*seed, number))
            rows = random.standard_normal((ROWS_AT_ONCE, dimension), np.float32) / dimension**0.5
            low, high = max(first, start), min(last, start + ROWS_AT_ONCE)
            own = torch.from_numpy(rows[low - start : high - start])
            shard.tensor.detach()[low - first : high - first] = own

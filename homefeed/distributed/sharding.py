"""Embedding tables whose rows are spread over the processes by torchrec's planner."""

import logging
import os
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torchrec import EmbeddingBagCollection, EmbeddingCollection
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import (
    EmbeddingShardingPlanner,
    ParameterConstraints,
    Topology,
)
from torchrec.distributed.types import ModuleSharder, ShardingType
from torchrec.modules.embedding_configs import BaseEmbeddingConfig

ROWS_AT_ONCE = 65_536
"""Rows that one generator starts: whoever holds some of them draws all of them."""
TABLE_ROW_WISE = ShardingType.TABLE_ROW_WISE.value
WHOLE = ShardingType.TABLE_WISE.value


class _RowBagSharder(EmbeddingBagCollectionSharder):
    """Shards by rows, on the CPU as well, where torchrec's own offers whole tables alone."""

    def __init__(self, sharding: str) -> None:
        super().__init__()
        self._sharding = sharding

    def sharding_types(self, compute_device_type: str) -> list[str]:
        """What the planner may choose from."""
        return [self._sharding, WHOLE]


class _RowSharder(EmbeddingCollectionSharder):
    """As `_RowBagSharder`, for tables that are looked up item by item."""

    def __init__(self, sharding: str) -> None:
        super().__init__()
        self._sharding = sharding

    def sharding_types(self, compute_device_type: str) -> list[str]:
        """What the planner may choose from."""
        return [self._sharding, WHOLE]


def shard(module: nn.Module, sharding: str, device: torch.device) -> DistributedModelParallel:
    """Spreads the tables of a module over the processes; what else it has, each of them holds.

    A table of so few rows that some process would get none is held by one process alone. A
    collective: every process calls it.

    Args:
        module: with torchrec's embedding collections, whose optimizer is in their backward pass.
        sharding: `row_wise` or `table_row_wise`.
        device: of this process.
    """
    sharders = [
        cast(ModuleSharder[nn.Module], kind(sharding)) for kind in (_RowBagSharder, _RowSharder)
    ]
    planner = _planner(device, _constraints(module, sharding))
    plan = planner.collective_plan(module, sharders, dist.group.WORLD)
    return DistributedModelParallel(module, device=device, plan=plan, sharders=sharders)


def start_rows(table: ShardedTensor, seed: tuple[int, ...], deviation: float) -> None:
    """Gives the rows that this process holds their first vectors.

    They are the rows' own, whichever process holds them.

    Args:
        table: `[rows, D]`.
        seed: of the table.
        deviation: standard deviation of what the vectors hold.
    """
    _, dimension = table.size()
    for part in table.local_shards():
        first = part.metadata.shard_offsets[0]
        last = first + part.metadata.shard_sizes[0]
        for number in range(first // ROWS_AT_ONCE, -(-last // ROWS_AT_ONCE)):
            start = number * ROWS_AT_ONCE
            random = np.random.default_rng((*seed, number))
            rows = random.standard_normal((ROWS_AT_ONCE, dimension), np.float32) * deviation
            low, high = max(first, start), min(last, start + ROWS_AT_ONCE)
            own = torch.from_numpy(rows[low - start : high - start])
            part.tensor.detach()[low - first : high - first] = own


def gather_table(table: ShardedTensor) -> Tensor:
    """A whole table in the first process's memory, `[rows, D]`; in others empty. A collective."""
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
    return whole


def gather_state(state: dict[str, Any]) -> dict[str, Tensor]:
    """A state dict in the first process's memory with whole tables; in others empty."""
    whole = {
        name: gather_table(value) if isinstance(value, ShardedTensor) else value
        for name, value in state.items()
    }
    if dist.is_initialized() and dist.get_rank() != 0:
        return {}
    return {name: value.detach().cpu().clone() for name, value in whole.items()}


def _constraints(module: nn.Module, sharding: str) -> dict[str, ParameterConstraints]:
    """How each table is spread, by name."""
    tables: list[BaseEmbeddingConfig] = []
    for each in module.modules():
        if isinstance(each, EmbeddingBagCollection):
            tables += each.embedding_bag_configs()
        elif isinstance(each, EmbeddingCollection):
            tables += each.embedding_configs()
    num_processes = _local_world_size() if sharding == TABLE_ROW_WISE else dist.get_world_size()
    constraints = {}
    for table in tables:
        # With an empty part of one table, fbgemm's kernel on the CPU updates wrong rows of others.
        num_rows = -(-table.num_embeddings // num_processes)
        has_empty_part = num_rows * (num_processes - 1) >= table.num_embeddings
        chosen = WHOLE if has_empty_part else sharding
        constraints[table.name] = ParameterConstraints(sharding_types=[chosen])
    return constraints


def _local_world_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def _planner(
    device: torch.device, constraints: dict[str, ParameterConstraints]
) -> EmbeddingShardingPlanner:
    memory = {}
    if device.type == "cuda":
        memory = {"hbm_cap": torch.cuda.get_device_properties(device).total_memory}
    # It warns of the way that its own documentation makes one.
    logging.getLogger("torchrec").setLevel(logging.ERROR)
    return EmbeddingShardingPlanner(
        Topology(
            world_size=dist.get_world_size(),
            local_world_size=_local_world_size(),
            compute_device=device.type,
            **memory,
        ),
        constraints=constraints,
    )

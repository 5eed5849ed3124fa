"""The processes of a training: one alone, or several in step, each with its share of a batch."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torch.nn.parallel import DistributedDataParallel
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from homefeed.distributed.sharding import shard, start_rows
from homefeed.towers.config import TrainingConfig
from homefeed.towers.objectives.learner import Learner

SHARDING = "row_wise"


@dataclass(frozen=True)
class Processes:
    """Those of one training, and which of them this is."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_group(cls, device: torch.device) -> "Processes":
        """Those of the process group that was joined."""
        return cls(device, dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether it is this one that writes and reports."""
        return self.rank == 0

    def mean(self, value: float) -> float:
        """The mean of a number over the processes."""
        if self.world_size == 1:
            return value
        total = torch.tensor(value, device=self.device, dtype=torch.float64)
        dist.all_reduce(total)
        return total.item() / self.world_size


def spread(
    learner: Learner, training: TrainingConfig, processes: Processes, seed: int
) -> nn.Module:
    """The learner as it is called in each step, with its gradients meaned over the processes.

    Args:
        learner: new towers, all processes' equal; tables that are to be spread have no memory yet.
        training: whether tables are spread.
        processes: of the training.
        seed: of the rows of tables that are spread.
    """
    if not training.is_sharded:
        learner.to(processes.device)
        return learner if processes.world_size == 1 else DistributedDataParallel(learner)
    tables = learner.towers.tables.parameters()
    apply_optimizer_in_backward(RowWiseAdagrad, tables, {"lr": training.table_learning_rate})
    model = shard(learner, SHARDING, processes.device)
    for place, (_, value) in enumerate(sorted(model.state_dict().items())):
        if isinstance(value, ShardedTensor):
            start_rows(value, (seed, place), learner.towers.deviation)
    return model


def own_parameters(
    model: nn.Module, learner: Learner
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What the optimizer outside the backward pass moves: of the towers, and of the objective.

    Args:
        model: what `spread` made.
        learner: what it was made of.
    """
    of_objective = [p for p in learner.objective.parameters() if p.requires_grad]
    spread_tables = {
        name for name, value in model.state_dict().items() if isinstance(value, ShardedTensor)
    }
    of_towers = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and name not in spread_tables
        and not any(parameter is other for other in of_objective)
    ]
    return of_towers, of_objective

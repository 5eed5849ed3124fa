"""Checkpoints that some processes write together and any other number of them goes on from.

Each process writes the rows of the tables that it holds; `torch.distributed.checkpoint` hands every
process of a later training the rows that are its own then.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.default_planner import (
    DefaultLoadPlanner,
    create_default_local_load_plan,
)
from torch.distributed.checkpoint.planner import LoadPlan
from torch.optim import AdamW

LATEST_FILE = "latest"
"""Names the folder of the checkpoint that is whole."""


def save(folder: Path, number: int, state: dict[str, Any]) -> None:
    """Writes a checkpoint and drops the one before it. A collective.

    Args:
        folder: on a disk that all processes share.
        number: of the checkpoint, larger than that of any before it.
        state: what has a `state_dict`, tensors, and what can be pickled; of a tensor that is not
            sharded, and of all else, the first process's is kept.
    """
    dcp.save(state, checkpoint_id=folder / str(number))
    if dist.get_rank() == 0:
        draft = folder / f"{LATEST_FILE}.draft"
        draft.write_text(str(number))
        draft.replace(folder / LATEST_FILE)
        for other in folder.iterdir():
            if other.is_dir() and other.name != str(number):
                shutil.rmtree(other)
    dist.barrier()


def load(folder: Path, state: dict[str, Any]) -> bool:
    """Reads the last checkpoint into the same kind of state. A collective.

    Args:
        folder: that of `save`.
        state: as it was given to `save`; what has a `state_dict` is changed, other values are put
            in their place.

    Returns:
        Whether there is a checkpoint.
    """
    if not (folder / LATEST_FILE).is_file():
        return False
    path = folder / (folder / LATEST_FILE).read_text()
    dcp.load(state, checkpoint_id=path, planner=_Planner())
    return True


def fill(optimizer: AdamW) -> None:
    """Makes what the optimizer keeps of each parameter, as it does itself in the first step only.

    A checkpoint is read into what is there: without it, the moments of a new optimizer would stay
    behind unnoticed. The parameters must be whole in every process.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if not optimizer.state[parameter]:
                optimizer.state[parameter] = {
                    "step": torch.zeros(()),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }


class _Planner(DefaultLoadPlanner):
    """Reads what this process has, whatever else there is in the checkpoint.

    What optimizers keep of a table is known only where a part of it is held. Torch's own planner
    takes what is missing elsewhere for the names of torch 2.3, and then finds none of them.
    """

    def create_local_plan(self) -> LoadPlan:
        assert self.metadata is not None
        return create_default_local_load_plan(self.state_dict, self.metadata)

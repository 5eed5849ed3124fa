"""A small training in step: `<checkpoints> <output> <first steps> <all steps>` under torchrun.

Goes on from the checkpoint where there is one, else makes one after the first steps.
"""

import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from homefeed.distributed.checkpoint import fill, load, save
from homefeed.distributed.processes import process_group
from homefeed.distributed.sharding import gather_state, shard

NUM_ROWS = {"pins": 11, "users": 7, "ages": 4}
"""Of three processes the last would get none of the ages."""
DIMENSION = 4
BATCH = {
    "pins": [0, 3, 10, 3, 5, 1],
    "users": [6, 0, 0, 2, 5, 5],
    "ages": [3, 0, 1, 2, 2, 2],
}
"""Divides by 1, 2 and 3 processes."""
RATE = 0.1


class Model(nn.Module):
    """Some tables, and a linear layer over what they hold."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = EmbeddingBagCollection(
            device=torch.device("meta"),
            tables=[
                EmbeddingBagConfig(
                    name=name,
                    embedding_dim=DIMENSION,
                    num_embeddings=num_rows,
                    feature_names=[name],
                )
                for name, num_rows in NUM_ROWS.items()
            ],
        )
        apply_optimizer_in_backward(RowWiseAdagrad, self.tables.parameters(), {"lr": RATE})
        self.linear = nn.Linear(len(NUM_ROWS) * DIMENSION, 1, bias=False)
        nn.init.constant_(self.linear.weight, 0.5)

    def forward(self, rows: KeyedJaggedTensor) -> Tensor:
        found = self.tables(rows)
        joined = torch.cat([found[name] for name in NUM_ROWS], dim=1)
        return self.linear(joined).square().mean()


def start(num_rows: int) -> Tensor:
    """What a table holds at first, [num_rows, DIMENSION]."""
    return torch.arange(num_rows * DIMENSION, dtype=torch.float32).reshape(-1, DIMENSION) / 10


def train(checkpoints: Path, output: Path, num_first: int, num_steps: int) -> None:
    rank, world_size = dist.get_rank(), dist.get_world_size()
    model = shard(Model(), "row_wise", torch.device("cpu"))
    for name, table in model.state_dict().items():
        if "tables" in name:
            for part in table.local_shards():
                first, num_rows = part.metadata.shard_offsets[0], part.metadata.shard_sizes[0]
                part.tensor.detach().copy_(start(table.size(0))[first : first + num_rows])
    dense = [p for name, p in model.named_parameters() if "tables" not in name]
    optimizer = torch.optim.AdamW(dense, lr=RATE)
    fill(optimizer)
    state = {
        "model": model,
        "tables": model.fused_optimizer,
        "optimizer": optimizer,
        "num_done": 0,
    }
    has_gone_on = load(checkpoints, state)
    size = len(BATCH["pins"]) // world_size
    own = [row for rows in BATCH.values() for row in rows[rank * size : (rank + 1) * size]]
    lengths = torch.ones(len(own), dtype=torch.int32)
    losses = []
    for number in range(state["num_done"], num_steps):
        if number == num_first and not has_gone_on:
            save(checkpoints, number, {**state, "num_done": number})
        loss = model(KeyedJaggedTensor(list(NUM_ROWS), torch.tensor(own), lengths=lengths))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        losses.append(mean.item() / world_size)
    whole = gather_state(model.state_dict())
    if rank == 0:
        torch.save({"losses": losses, "model": whole}, output)


if __name__ == "__main__":
    with process_group("cpu", "training"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

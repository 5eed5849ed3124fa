"""Real processes under torchrun: sharded tables, the layers beside them, and their checkpoints."""

from pathlib import Path

import pytest
import torch
from torch import nn

from homefeed.distributed.processes import run_processes
from tests.distributed.training import BATCH, DIMENSION, NUM_ROWS, RATE, start

NUM_FIRST, NUM_STEPS = 3, 6


def run(folder: Path, num_processes: int) -> dict:
    output = folder / f"{num_processes}.pt"
    arguments = [folder / "checkpoints", output, str(NUM_FIRST), str(NUM_STEPS)]
    run_processes("tests.distributed.training", arguments, num_processes)  # type: ignore[arg-type]
    return torch.load(output, weights_only=True)


def plain() -> tuple[list[float], dict[str, torch.Tensor]]:
    """The same training by plain torch, with row-wise Adagrad as it is defined."""
    tables = {name: nn.Parameter(start(num_rows)) for name, num_rows in NUM_ROWS.items()}
    linear = nn.Linear(len(NUM_ROWS) * DIMENSION, 1, bias=False)
    nn.init.constant_(linear.weight, 0.5)
    optimizer = torch.optim.AdamW(linear.parameters(), lr=RATE)
    sums = {name: torch.zeros(num_rows, 1) for name, num_rows in NUM_ROWS.items()}
    losses = []
    for _ in range(NUM_STEPS):
        joined = torch.cat([table[BATCH[name]] for name, table in tables.items()], dim=1)
        loss = linear(joined).square().mean()
        optimizer.zero_grad()
        gradients = torch.autograd.grad(loss, [*tables.values(), linear.weight])
        linear.weight.grad = gradients[-1]
        optimizer.step()
        for (name, table), gradient in zip(tables.items(), gradients, strict=False):
            sums[name] += gradient.square().mean(dim=1, keepdim=True)
            table.data -= RATE * gradient / (sums[name].sqrt() + 1e-8)
        losses.append(loss.item())
    return losses, {**tables, "linear": linear.weight}


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("of_two")
    return folder, run(folder, 2)


def check(found: dict, losses: list[float], tensors: dict[str, torch.Tensor]) -> None:
    assert found["losses"] == pytest.approx(losses, rel=1e-4)
    by_name = {name.split(".")[-2]: value for name, value in found["model"].items()}
    assert by_name.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(by_name[name], tensor.detach(), rtol=1e-4, atol=1e-5)


def test_two_processes_train_as_plain_torch_does(of_two: tuple[Path, dict]) -> None:
    losses, tensors = plain()
    assert losses[-1] < losses[0]
    check(of_two[1], losses, tensors)


@pytest.mark.parametrize("num_processes", [1, 3])
def test_another_number_of_processes_goes_on_from_a_checkpoint(
    of_two: tuple[Path, dict], num_processes: int
) -> None:
    folder, _ = of_two
    assert [each.name for each in sorted((folder / "checkpoints").iterdir())] == ["3", "latest"]
    losses, tensors = plain()
    check(run(folder, num_processes), losses[NUM_FIRST:], tensors)

"""The processes that train together: this one alone, or those that torchrun started."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""With GPUs, full tables are still gathered in the CPU's memory."""
TIMEOUT = timedelta(hours=1)
"""The other processes wait while the first one validates and writes."""


@contextmanager
def process_group(wanted: str, section: str) -> Iterator[torch.device]:
    """Joins the processes that torchrun started, or makes a group of this one alone.

    Args:
        wanted: "auto", "cpu" or "cuda".
        section: of the recipe that it is in, for the error.

    Yields:
        The device of this process.

    Raises:
        ValueError: a GPU is asked for and torch sees none, or fewer than processes.
    """
    device = choose_device(wanted, section, int(os.environ.get("LOCAL_RANK", 0)))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = BACKENDS[device.type]
    with tempfile.TemporaryDirectory() as scratch:
        if dist.is_torchelastic_launched():
            dist.init_process_group(backend, timeout=TIMEOUT)
        else:
            store = dist.FileStore(f"{scratch}/group", 1)
            dist.init_process_group(backend, timeout=TIMEOUT, store=store, rank=0, world_size=1)
        try:
            yield device
        finally:
            dist.destroy_process_group()


def choose_device(wanted: str, section: str, local_rank: int = 0) -> torch.device:
    """The device of one process of this machine.

    Raises:
        ValueError: a GPU is asked for and torch sees none, or fewer than processes.
    """
    num_gpus = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and not num_gpus):
        return torch.device("cpu")
    if local_rank >= num_gpus:
        raise ValueError(
            f"{section}.device={wanted!r} but torch {torch.__version__} sees {num_gpus} GPUs for "
            f"{local_rank + 1} or more processes: give the step as many accelerators and the GPU "
            f"image, or set {section}.device: cpu"
        )
    return torch.device("cuda", local_rank)


def run_processes(module: str, arguments: list[Path], num_processes: int) -> None:
    """Runs a module under torchrun, in some processes of this machine.

    Raises:
        RuntimeError: one of them failed; it has said why on standard error.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(num_processes), "--module", module, *map(str, arguments)]
    # Standard output is for what a stage says of its failure.
    finished = subprocess.run(command, stdout=sys.stderr.fileno())
    if finished.returncode:
        raise RuntimeError(
            f"training in {num_processes} processes ended with exit code {finished.returncode}; "
            "what they said is above"
        )

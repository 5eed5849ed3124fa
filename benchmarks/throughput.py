"""How fast the towers train, by configuration: `throughput.yaml`.

`make results EXPERIMENT=training-throughput` runs it, and writes examples a second of one epoch's
steps, validation left out, and the shares of that time that the parts of a step take. Processes
train in step and share each batch; the parts are the first one's.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks.config import BASES, FOLDER, Sections, merge
from benchmarks.data import Data
from benchmarks.intervals import over_seeds
from benchmarks.runs import SPLIT_SEED
from homefeed.config import Config, from_yaml
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import Record
from homefeed.towers.job import Job
from homefeed.towers.layout import Epoch, read_training
from homefeed.towers.several import train_in_processes
from homefeed.towers.train import train_towers

NAME = "training-throughput"
FILE = FOLDER / "throughput.yaml"
SPEED = "training speed"


class Configuration(Config, frozen=True, kw_only=True):
    """One way to train."""

    change: dict[str, Any] = {}
    """Of the sections."""
    num_processes: int = 1
    needs_gpu: bool = False
    """Left out where there is none."""


class Throughput(Config, frozen=True, kw_only=True):
    """What is timed."""

    title: str
    base: str
    shared: dict[str, Any]
    num_repeats: int
    configurations: dict[str, Configuration]


def measure_throughput(work: Path, file: Path = FILE, bases: Path = BASES) -> Iterator[Record]:
    """Times each configuration; what was timed before is timed again.

    Args:
        work: folder of the data set.
        file: of the configurations.
        bases: folder of their base.

    Yields:
        The records of each.

    Raises:
        ValueError: a section does not fit, or the processes cannot share a batch.
    """
    plan = from_yaml(file.read_bytes(), Throughput, str(file))
    base = msgspec.yaml.decode((bases / f"{plan.base}.yaml").read_bytes())
    for name, own in plan.configurations.items():
        if own.needs_gpu and not torch.cuda.is_available():
            continue
        sections = msgspec.convert(merge(merge(base, plan.shared), own.change), Sections)
        dataset = Data(work).dataset(sections, SPLIT_SEED)
        epochs = [
            _train(dataset, sections, own.num_processes, seed, work)
            for seed in range(1, plan.num_repeats + 1)
        ]
        yield from _describe(name, epochs)


def _train(dataset: Path, sections: Sections, num_processes: int, seed: int, work: Path) -> Epoch:
    job = Job(towers=sections.towers, training=sections.training, seed=seed)
    with TemporaryDirectory(dir=work) as scratch:
        output = Path(scratch) / "towers"
        if num_processes == 1:
            train_towers(dataset, job.towers, job.training, seed, output)
        else:
            train_in_processes(job, dataset, output, num_processes)
        return read_training(output).epochs[-1]


def _describe(configuration: str, epochs: list[Epoch]) -> Iterator[Record]:
    seconds = np.array([sum(epoch.seconds.values()) for epoch in epochs])
    found = {SPEED: np.array([epoch.num_examples for epoch in epochs]) / seconds}
    for part in epochs[0].seconds:
        found[part] = np.array([epoch.seconds[part] for epoch in epochs]) / seconds
    for metric, values in found.items():
        estimate = over_seeds(values)
        yield Record(
            experiment=NAME,
            configuration=configuration,
            metric=metric,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=len(values),
            unit="examples/s" if metric == SPEED else "",
            command=f"make results EXPERIMENT={NAME}",
            commit=commit(),
            machine=machine(),
        )

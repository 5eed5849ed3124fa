"""Trainings of an experiment side by side, each in a process with a thread of its own.

Towers this small leave cores idle: a step is many short kernels, which threads hardly share.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.train import train_towers


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of towers."""

    name: str
    """What a user knows it by."""
    dataset: Path
    ids: Path | None
    towers: TowersConfig
    training: TrainingConfig
    seed: int
    output: Path
    """Folder of the towers artifact."""
    checkpoints: Path

    def run(self) -> None:
        """Trains, from its last checkpoint on where there is one.

        Raises:
            ValueError: the sections do not fit the data set or each other.
        """
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        train_towers(
            self.dataset,
            self.towers,
            self.training,
            self.seed,
            self.output,
            self.checkpoints,
            self.ids,
        )


def run_trainings(trainings: Sequence[Training], num_processes: int) -> None:
    """Runs trainings, several at a time; what ends is kept, whatever becomes of the others.

    Args:
        trainings: each with an output of its own.
        num_processes: that train at once.

    Raises:
        ValueError: a training's sections do not fit; those that have begun are ended first.
    """
    assert len({each.output for each in trainings}) == len(trainings)
    if min(len(trainings), num_processes) <= 1:
        for training in trainings:
            training.run()
        return
    # A fork after torch has used its threads hangs.
    context = get_context("spawn")
    with _quiet_children(), ProcessPoolExecutor(num_processes, context) as pool:
        running = {pool.submit(training.run): training for training in trainings}
        try:
            for done in tqdm(as_completed(running), "trainings", len(running), unit="training"):
                done.result()
                tqdm.write(f"trained {running[done].name}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _quiet_children() -> Iterator[None]:
    """One thread for each process started in here, and no bars, which would overwrite each other.

    Both are read when torch and tqdm are imported, which is before a child runs any code of ours.
    """
    settings = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

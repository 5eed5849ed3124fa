"""A training in several processes of this machine, one for each GPU."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from homefeed.distributed.processes import run_processes
from homefeed.towers import training
from homefeed.towers.config import check_processes, check_together
from homefeed.towers.job import (
    CHECKPOINTS_FOLDER,
    DATASET_FOLDER,
    IDS_FOLDER,
    JOB_FILE,
    TOWERS_FOLDER,
    Job,
)


def train_in_processes(
    job: Job,
    dataset: Path,
    output: Path,
    num_processes: int,
    checkpoints: Path | None = None,
    ids: Path | None = None,
) -> None:
    """Trains the towers as `train_towers` does, in processes that torchrun starts.

    Args:
        job: what is to be trained.
        dataset: the dataset artifact.
        output: folder of the towers artifact.
        num_processes: that share each batch.
        checkpoints: folder from which an interrupted training of the same inputs goes on.
        ids: the artifact of ID embeddings, where `towers.ids` asks for them.

    Raises:
        ValueError: the sections do not fit each other, or the number of processes.
        RuntimeError: a process failed; it has said why on standard error.
    """
    check_together(job.towers, job.training)
    check_processes(job.training, num_processes)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".training-", dir=output.parent) as scratch:
        folder = Path(scratch)
        (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
        inputs = {DATASET_FOLDER: dataset, IDS_FOLDER: ids, CHECKPOINTS_FOLDER: checkpoints}
        for name, there in inputs.items():
            if there is not None:
                (folder / name).symlink_to(there.absolute())
        run_processes(training.__name__, [folder], num_processes)
        shutil.copytree(folder / TOWERS_FOLDER, output, dirs_exist_ok=True)

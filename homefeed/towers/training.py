"""What each process of a training does: `python -m homefeed.towers.training JOB` under torchrun.

JOB is a folder that all processes see, with `job.json` and the inputs (`homefeed.towers.job`); it
gets the checkpoints and the towers artifact. A process that gets SIGTERM, as those of a pod that
must leave its node, has all of them save a checkpoint after the batch or validation that runs, and
ends; torchrun waits 30 seconds for that.
"""

import sys
from pathlib import Path

import msgspec

from homefeed.distributed.told_to_end import told_to_end
from homefeed.towers.job import (
    CHECKPOINTS_FOLDER,
    DATASET_FOLDER,
    IDS_FOLDER,
    JOB_FILE,
    TOWERS_FOLDER,
    Job,
)
from homefeed.towers.train import train_towers


def main(folder: Path) -> None:
    """Trains what a job's folder says."""
    job = msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=Job)
    ids = folder / IDS_FOLDER
    with told_to_end() as told:
        train_towers(
            folder / DATASET_FOLDER,
            job.towers,
            job.training,
            job.seed,
            folder / TOWERS_FOLDER,
            folder / CHECKPOINTS_FOLDER,
            ids if ids.exists() else None,
            told,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

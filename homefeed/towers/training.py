"""What each process of a training does: `python -m homefeed.towers.training JOB` under torchrun.

JOB is a folder that all processes see, with `job.json` and the inputs (`homefeed.towers.job`); it
gets the checkpoints and the towers artifact.
"""

import sys
from pathlib import Path

import msgspec

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
    train_towers(
        folder / DATASET_FOLDER,
        job.towers,
        job.training,
        job.seed,
        folder / TOWERS_FOLDER,
        folder / CHECKPOINTS_FOLDER,
        ids if ids.exists() else None,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

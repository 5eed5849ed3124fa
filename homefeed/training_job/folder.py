"""The folder of a job on the volume that the step and the pods of its training share."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from homefeed.towers.job import JOB_FILE, TOWERS_FOLDER, Job
from homefeed.training_job.config import CLAIM


def fill(folder: Path, inputs: Mapping[str, Path], job: Job) -> None:
    """Copies the inputs and says what is to be trained; what an earlier try copied is kept.

    Args:
        folder: of the job; belongs to one run, whose inputs never change.
        inputs: name of a folder in it to the artifact that it becomes a copy of.
        job: what is to be trained.

    Raises:
        ValueError: the volume is not there or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, artifact in inputs.items():
            if not (folder / name).exists():
                draft = folder / f"{name}.draft"
                shutil.rmtree(draft, ignore_errors=True)
                shutil.copytree(artifact, draft)
                draft.rename(folder / name)
        shutil.rmtree(folder / TOWERS_FOLDER, ignore_errors=True)
        (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
    except OSError as error:
        raise ValueError(
            f"the folder {folder} of the training cannot be filled: {error}. The volume of claim "
            f"{CLAIM} must have room, and user 10001 of the images must be able to write to it, "
            "without an fsGroup: Kubeflow Pipelines gives its pods none"
        ) from error


def take_towers(folder: Path, output: Path) -> None:
    """Copies the towers out of a job's folder, and removes it.

    Raises:
        RuntimeError: there are none.
    """
    towers = folder / TOWERS_FOLDER
    if not towers.is_dir():
        raise RuntimeError(
            f"the training ended well and left no {towers}: claim {CLAIM} of the TrainingRuntime "
            "must be the one that this step mounts"
        )
    shutil.copytree(towers, output, dirs_exist_ok=True)
    shutil.rmtree(folder)

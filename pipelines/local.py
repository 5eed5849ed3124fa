"""Runs `train_and_release` on this machine: the steps that a cluster runs, by kfp.local."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from components.image import IMAGE_VARIABLE
from homefeed.config import to_yaml
from homefeed.recipe import read_recipe
from homefeed.stage import PEAK_MEMORY_BYTES, SECONDS
from pipelines.code_version import code_version
from pipelines.outcome import Outcome, read_outcome
from pipelines.work_folder import WorkFolder

SECONDS_BETWEEN_BARS = "10"
"""How often a progress bar is drawn where it goes to a file."""


class StageUsage(msgspec.Struct, frozen=True):
    """What a stage took; where it was reused, when it ran."""

    name: str
    seconds: float
    peak_memory_bytes: int
    reused: bool


@dataclass(frozen=True)
class LocalRun:
    """The folders of a run's artifacts, and its stages in the order in which they ended."""

    release: Path
    dataset: Path
    towers: Path
    evaluation: Path
    stages: tuple[StageUsage, ...]


def run_locally(
    recipe: str, work: Path, pins_per_shard: int | None = None, store: str = ""
) -> LocalRun:
    """Runs a recipe's pipeline; a stage whose code and inputs are those of a recent run is reused.

    An interrupted training goes on from its last checkpoint, unless the code changed since.

    Args:
        recipe: the name of a shipped one, or the path of a YAML file.
        work: folder that gets everything; artifacts that the last few runs did not use go.
        pins_per_shard: most pins that one step embeds; by default the pipeline's.
        store: URL, or folder, of the store with ID embeddings; empty where the recipe uses none.

    Returns:
        Where the artifacts lie; they stay until a few runs later.

    Raises:
        ValueError: the recipe cannot be used; names the place.
        RuntimeError: a stage failed, or another run is at work in the folder.
    """
    text = to_yaml(read_recipe(recipe))
    folder = WorkFolder(Path(os.path.abspath(work / "pipeline")))
    # Of this code alone: a checkpoint of other code would mix two trainings.
    checkpoints = folder.checkpoints / code_version()
    arguments = {"recipe": text, "store": store, "checkpoints": str(checkpoints)}
    if pins_per_shard is not None:
        arguments |= {"pins_per_shard": pins_per_shard}
    with folder.locked():
        folder.sweep()
        outcome = _run_worker(folder, arguments)
        if outcome.failure is not None:
            raise RuntimeError(outcome.failure)
        folder.keep([step.key for step in outcome.steps])
    at = outcome.folders
    return LocalRun(at["release"], at["dataset"], at["towers"], at["evaluation"], _usage(outcome))


def _run_worker(folder: WorkFolder, arguments: dict[str, Any]) -> Outcome:
    """Runs the pipeline in a process of its own, of which nothing is left afterwards."""
    folder.outcome.unlink(missing_ok=True)
    # KFP leaves each step's source behind; paths of sockets in here must stay short.
    with TemporaryDirectory(prefix="homefeed-") as scratch, folder.log.open("w") as log:
        command = [sys.executable, "-W", "ignore", "-m", "pipelines.local_worker"]
        command += [str(os.getpid()), str(folder.root), msgspec.json.encode(arguments).decode()]
        worker = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            env=os.environ | _environment(scratch),
            process_group=0,
        )
        try:
            # It is left unreaped until its group has ended, so that the group's number stays ours.
            os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            code = worker.wait()
    if not folder.outcome.exists():
        raise RuntimeError(f"the pipeline ended with exit code {code}; see {folder.log}")
    return read_outcome(folder)


def _environment(scratch: str) -> dict[str, str]:
    variables = {
        # KFP's cache knows the code by the image, whose tag names its contents here as well.
        IMAGE_VARIABLE: f"local/python:{code_version()}",
        # A folder of the user's may be called "components" as well.
        "PYTHONSAFEPATH": "1",
        "TMPDIR": scratch,
    }
    if not sys.stderr.isatty():
        variables["TQDM_MININTERVAL"] = SECONDS_BETWEEN_BARS
    return variables


def _usage(outcome: Outcome) -> tuple[StageUsage, ...]:
    """What each stage took: seconds of all its steps, memory of the largest."""
    stages: dict[str, StageUsage] = {}
    for step in outcome.steps:
        for artifact in step.artifacts.values():
            if SECONDS not in artifact.metadata:
                continue
            seconds, peak = artifact.metadata[SECONDS], int(artifact.metadata[PEAK_MEMORY_BYTES])
            before = stages.get(step.stage, StageUsage(step.stage, 0.0, 0, reused=True))
            stages[step.stage] = StageUsage(
                step.stage,
                before.seconds + seconds,
                max(before.peak_memory_bytes, peak),
                before.reused and step.reused,
            )
    return tuple(stages.values())

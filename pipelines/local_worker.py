"""The process in which KFP runs the pipeline; `pipelines.local` starts it in a group of its own.

Standard output gets what KFP says, standard error what the stages say. Of kfp.local two parts are
replaced, for which it has no setting: a cache that trusts an artifact because its path exists, and
a step's start, which cuts progress bars into lines.
"""

import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from kfp import dsl, local
from kfp.local import cache, pipeline_orchestrator, subprocess_task_handler

from pipelines.outcome import Artifact, Outcome, Step, write_outcome
from pipelines.serving_steps import PINS_PER_SHARD
from pipelines.train_and_release import make_release
from pipelines.work_folder import WorkFolder, is_whole

PR_SET_PDEATHSIG = 1


@dsl.pipeline(name="train-and-release")
def train_and_release(
    recipe: str, store: str = "", checkpoints: str = "", pins_per_shard: int = PINS_PER_SHARD
) -> None:
    """A cluster's steps, less those that publish and report: here who started the run does both."""
    make_release(recipe, store, checkpoints, pins_per_shard)


class WholeCache(cache.LocalCache):
    """Gives out whole artifacts only, and remembers the steps of this run."""

    def __init__(self, cache_root: str) -> None:
        super().__init__(cache_root)
        self.steps: list[Step] = []

    def get(self, key: str) -> dict[str, Any] | None:
        """The outputs of a step that ran with the same inputs, unless something is amiss."""
        outputs = super().get(key)
        if outputs is None:
            return None
        step = _describe(key, outputs, reused=True)
        paths = [artifact.path for artifact in step.artifacts.values()]
        if damaged := [path for path in paths if not is_whole(Path(path))]:
            sys.stderr.write(f"{step.stage}: {damaged[0]} is damaged and is made again\n")
            return None
        self.steps.append(step)
        sys.stderr.write(f"{step.stage}: reused\n")
        return outputs

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Keeps the outputs of a step that has run."""
        self.steps.append(_describe(key, outputs, reused=False))
        super().put(key, outputs)


class StepRunner:
    """Starts the steps; after a failure no more of them, though others may not depend on it."""

    def __init__(self, log: Path) -> None:
        self.failure: str | None = None
        self._log = log

    def __call__(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Runs one step with our own standard error; returns its exit code, which is 0.

        Raises:
            RuntimeError: it failed, or one did before it.
        """
        if self.failure is None:
            environment = os.environ | (env_vars or {})
            step = subprocess.run(
                full_command, env=environment, stdout=subprocess.PIPE, text=True, errors="replace"
            )
            sys.stdout.write(step.stdout)
            if step.returncode == 0:
                return 0
            name = full_command[full_command.index("--function_to_execute") + 1]
            self.failure = self._explain(name, step.returncode, step.stdout)
        raise RuntimeError(self.failure)

    def _explain(self, name: str, code: int, output: str) -> str:
        if said := re.search(rf"^{name} failed: .*", output, re.MULTILINE | re.DOTALL):
            return said[0].rstrip()
        # The step runs in a shell, which tells of a signal in this way.
        if code == 128 + signal.SIGKILL:
            return f"{name} was killed, as Linux does when memory runs out"
        return f"{name} ended with exit code {code}; see {self._log}"


def run(work: WorkFolder, arguments: dict[str, Any]) -> None:
    """Runs the pipeline and writes its outcome."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    cache.LocalCache = WholeCache
    subprocess_task_handler.run_local_subprocess = runner = StepRunner(work.log)
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(work.runs),
        enable_caching=True,
        cache_root=str(work.cache),
    )
    try:
        pipeline_orchestrator.run_local_pipeline(_without_retries(), arguments)
    except RuntimeError:
        if runner.failure is None:
            raise
    kept = cache.get_local_cache()
    assert isinstance(kept, WholeCache)
    write_outcome(work, Outcome(kept.steps, runner.failure))


def _without_retries() -> Any:
    """The pipeline; what fails on this machine would only fail again."""
    pipeline = train_and_release.pipeline_spec
    for component in [pipeline.root, *pipeline.components.values()]:
        for task in component.dag.tasks.values():
            task.ClearField("retry_policy")
    return pipeline


def _describe(key: str, outputs: dict[str, Any], *, reused: bool) -> Step:
    artifacts = {
        name: Artifact(output.uri, output.metadata)
        for name, output in outputs.items()
        if isinstance(output, dsl.Artifact)
    }
    # KFP gives each step a folder by its name.
    (folder,) = {Path(artifact.path).parent for artifact in artifacts.values()}
    return Step(folder.name.replace("-", "_"), key, reused, artifacts)


def _end_with(parent: int) -> None:
    """Sees to it that nothing outlives the process that started this one, even by kill -9."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have ended before the kernel was asked.
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    _end_with(int(sys.argv[1]))
    run(WorkFolder(Path(sys.argv[2])), msgspec.json.decode(sys.argv[3]))

"""What a local run tells of itself: which steps came to their end, or why one did not."""

from pathlib import Path
from typing import Any

import msgspec

from pipelines.work_folder import WorkFolder


class Artifact(msgspec.Struct, frozen=True):
    """An artifact: where it lies, and what its step noted of it."""

    path: str
    metadata: dict[str, Any]


class Step(msgspec.Struct, frozen=True):
    """A step that came to its end, in this run or in an earlier one."""

    stage: str
    key: str
    """Of its entry in KFP's cache."""
    reused: bool
    artifacts: dict[str, Artifact]


class Outcome(msgspec.Struct, frozen=True):
    """The steps of a run in the order in which they ended."""

    steps: list[Step]
    failure: str | None
    """What the step that failed said last."""

    @property
    def folders(self) -> dict[str, Path]:
        """Where each artifact lies, by its name."""
        artifacts = (item for step in self.steps for item in step.artifacts.items())
        return {name: Path(artifact.path) for name, artifact in artifacts}


def write_outcome(work: WorkFolder, outcome: Outcome) -> None:
    """Writes what came of a run."""
    work.outcome.write_bytes(msgspec.json.encode(outcome))


def read_outcome(work: WorkFolder) -> Outcome:
    """Reads what came of the last run."""
    return msgspec.json.decode(work.outcome.read_bytes(), type=Outcome)

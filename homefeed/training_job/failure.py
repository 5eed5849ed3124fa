"""Which of the pods that failed together is the cause, and what it said.

A process that fails takes the others with it: they lose the connection to it, and say so at length.
Pods end in the same second. What tells them apart is when each began to complain.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homefeed.training_job.status import failed_at, hindrance

COMPLAINT = "Traceback (most recent call last)"
TORCHRUN_LINE = re.compile(r"^E\d{4} .*\] failed \(exitcode: ")
"""The begin of what torchrun has to say after a process of it failed."""
NUM_LINES = 20
"""Of a pod that are shown, the last ones."""


@dataclass(frozen=True, order=True)
class Failure:
    """A pod that failed; the cause is the least."""

    time: float
    """When it began to complain, or ended without; Unix seconds."""
    pod: str
    why: str
    """As Kubernetes says."""
    lines: str
    """What it said last; may be empty."""

    def __str__(self) -> str:
        said = f"; its last lines:\n{self.lines}" if self.lines else ""
        return f"pod {self.pod} failed: {self.why}{said}"


def read_failure(pod: Any, log: str) -> Failure:
    """What is known of a failed pod.

    Args:
        pod: one that failed.
        log: its last lines, each after its time and a space.
    """
    entries = [line.partition(" ") for line in log.splitlines()]
    lines = [line for _, _, line in entries]
    begin = next((i for i, line in enumerate(lines) if COMPLAINT in line), None)
    time = failed_at(pod)
    if begin is not None:
        time = datetime.fromisoformat(entries[begin][0]).timestamp()
        ends = (i for i, line in enumerate(lines) if i > begin and TORCHRUN_LINE.match(line))
        lines = lines[begin : next(ends, None)]
    return Failure(time, pod.metadata.name, hindrance(pod), "\n".join(lines[-NUM_LINES:]))

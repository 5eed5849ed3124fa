"""Which of the pods that failed together is the cause, and what it said.

A process that fails takes the others with it: they lose the connection to it, and say so at length.
Pods end in the same second. What tells them apart is when each began to complain. A process that is
killed says nothing, and torchrun notices its end later than the others do: it is the cause all the
same.
"""

import re
import signal
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from homefeed.training_job.status import failed_at, hindrance, is_out_of_memory

COMPLAINT = "Traceback (most recent call last)"
TORCHRUN_LINE = re.compile(r"^E\d{4} .*\] failed \(exitcode: (-?\d+)\)")
"""The begin of what torchrun has to say after a process of it failed."""
KILLED = "a process of it was killed, as where a node or a pod has no memory left"
NUM_LINES = 20
"""Of a pod that are shown, the last ones."""


@dataclass(frozen=True, order=True)
class Failure:
    """A pod that failed; the cause is the least."""

    could_complain: bool
    """False where a process of it was killed."""
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
    codes = {
        i: int(found[1]) for i, line in enumerate(lines) if (found := TORCHRUN_LINE.match(line))
    }
    why, time, name = hindrance(pod), failed_at(pod), pod.metadata.name
    if killed := [i for i, code in codes.items() if code == -signal.SIGKILL]:
        return Failure(False, _seconds(entries[killed[0]][0]), name, f"{why}; {KILLED}", "")
    begin = next((i for i, line in enumerate(lines) if COMPLAINT in line), None)
    if begin is not None:
        time = _seconds(entries[begin][0])
        lines = lines[begin : next((i for i in codes if i > begin), None)]
    return Failure(not is_out_of_memory(pod), time, name, why, "\n".join(lines[-NUM_LINES:]))


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()

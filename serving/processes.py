"""Child processes that leave nothing behind: each in its own group, and bound to our life."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 10.0
"""What a process gets to end by itself after SIGTERM."""
TAIL_LINES = 50

# Runs in the child before the command takes its place: Linux kills it with its parent, even if that
# dies of kill -9. It is a program of its own, because a fork of one with threads may do almost
# nothing. The parent may be gone before the kernel was asked, hence the check.
BOUND_TO_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class Child:
    """A running command; start it in a thread that lives as long as it shall.

    It runs in the folder of its log, where it may leave what it writes when it crashes.
    The group keeps a terminal's Ctrl-C from it, so that we decide the order in which things end.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._log = log
        bound = [sys.executable, "-ES", "-c", BOUND_TO_PARENT, str(os.getpid()), *command]
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                bound,
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Of the process and of its group."""
        return self._process.pid

    def check(self) -> None:
        """Sees that it runs.

        Raises:
            RuntimeError: it has ended; shows the end of its log.
        """
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"{self.name} ended with exit code {code}.\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its own log, and where the rest is."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([f"The end of {self._log}:", *lines])

    def stop(self) -> None:
        """Ends it and all of its group, gently first; a second Ctrl-C cuts the grace short."""
        try:
            self._signal_group(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
        finally:
            self._signal_group(signal.SIGKILL)
            self._process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

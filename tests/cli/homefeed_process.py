"""The `homefeed` command as a real process, and all that it starts."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MOST_SECONDS = 60.0
"""Until something is taken to hang."""
HOMEFEED = Path(sys.executable).with_name("homefeed")
MARK = "HOMEFEED_TEST_MARK"
"""A variable that a command hands on to all its descendants, so that strays can be found."""


def run_homefeed(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [HOMEFEED, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


class HomefeedProcess:
    """A running command."""

    def __init__(self, *arguments: str | Path) -> None:
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [HOMEFEED, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self._mark},
        )

    def descendants(self) -> list[psutil.Process]:
        """Processes that it started, directly or not, and that still run."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get(MARK) == self._mark
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if is_ours and process.pid != self.process.pid:
                found.append(process)
        return found

    def runs(self, text: str) -> bool:
        """Whether it has a descendant whose command line holds a text."""
        for process in self.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                if text in " ".join(process.cmdline()):
                    return True
        return False

    def wait_for(self, text: str) -> None:
        """Waits for a descendant whose command line holds a text."""
        deadline = time.monotonic() + MOST_SECONDS
        while not self.runs(text):
            assert time.monotonic() < deadline, f"it started no {text}"
            time.sleep(0.02)

    def stop(self, number: signal.Signals) -> tuple[str, str]:
        """Sends a signal and waits for the end; returns standard output and standard error."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=MOST_SECONDS)

    def read_until(self, text: str) -> str:
        """What it prints up to and with the first line that holds a text; "" if none does."""
        assert self.process.stdout is not None
        printed = ""
        for line in self.process.stdout:
            printed += line
            if text in line:
                return printed
        return ""


@contextmanager
def start_homefeed(*arguments: str | Path) -> Iterator[HomefeedProcess]:
    """A command that is killed in the end, with all that it started, if it still runs."""
    running = HomefeedProcess(*arguments)
    try:
        yield running
    finally:
        for process in running.descendants():
            process.kill()
        running.process.kill()
        running.process.communicate()

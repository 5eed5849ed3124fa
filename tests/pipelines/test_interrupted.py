import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from homefeed.events.config import EventsConfig
from homefeed.towers.config import TrainingConfig
from pipelines.code_version import code_version
from tests.pipelines.tiny_recipe import write_recipe

pytestmark = pytest.mark.slow

# A shell that runs tests in the background has its children ignore SIGINT.
RUN = """
import signal
import sys
from pathlib import Path
from pipelines.local import run_locally
signal.signal(signal.SIGINT, signal.default_int_handler)
run_locally(sys.argv[1], Path(sys.argv[2]))
"""
PATIENCE_SECONDS = 120.0
ENDLESS = TrainingConfig(batch_size=64, max_epochs=100_000, patience=100_000)


class Runs:
    """Starts runs of an endless training in processes of their own, one after the other."""

    def __init__(self, tiny_log: EventsConfig, folder: Path) -> None:
        self._recipe = write_recipe(folder / "tiny.yaml", tiny_log, training=ENDLESS)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # After kill -9 the temporary folder is left.
        environment = os.environ | {"TMPDIR": str(self._folder)}
        command = [sys.executable, "-c", RUN, self._recipe, str(self._folder / "work")]
        with (self._folder / "said").open("w") as said:
            self._process = subprocess.Popen(command, stderr=said, env=environment)

    @property
    def said(self) -> str:
        return (self._folder / "said").read_text()

    @property
    def checkpoints(self) -> list[Path]:
        return list(
            (self._folder / "work" / "pipeline" / "checkpoints").glob(f"{code_version()}/*.pt")
        )

    def wait_until(self, is_so: Callable[[], object]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> None:
        """Sends the run alone a signal, and waits until nothing of it is left."""
        assert self._process is not None
        processes = psutil.Process(self._process.pid).children(recursive=True)
        assert len(processes) >= 3  # the worker, a step's shell, and Python in it
        self._process.send_signal(number)
        assert self._process.wait(PATIENCE_SECONDS) == -number
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := [process for process in processes if is_alive(process)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def is_alive(process: psutil.Process) -> bool:
    try:
        # Where nobody takes note of an orphan's end it stays a zombie.
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def runs(tiny_log: EventsConfig, tmp_path: Path) -> Iterator[Runs]:
    runs = Runs(tiny_log, tmp_path)
    yield runs
    runs.kill()


def test_an_interrupted_training_leaves_no_process_and_goes_on(runs: Runs) -> None:
    runs.start()
    runs.wait_until(lambda: runs.checkpoints)
    runs.end(signal.SIGINT)
    runs.start()
    runs.wait_until(lambda: re.search(r"going on after [1-9]\d* epochs", runs.said))
    assert "build_dataset: reused" in runs.said
    runs.end(signal.SIGINT)


def test_nothing_outlives_a_run_that_is_killed(runs: Runs) -> None:
    runs.start()
    runs.wait_until(lambda: "import_events ..." in runs.said)
    runs.end(signal.SIGKILL)

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from serving import processes
from serving.processes import BOUND_TO_PARENT, Child
from tests.serving.observing import is_running, wait_until

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(600)
"""
WITH_GRANDCHILD = f"""
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", {STUBBORN!r}]).pid, flush=True)
time.sleep(600)
"""
PARENT = """
import sys, os, time
from pathlib import Path
from serving.processes import Child
child = Child("child", [sys.executable, "-c", "import time; time.sleep(600)"], os.environ,
              Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(600)
"""


def start(command: list[str], log: Path) -> Child:
    return Child("the child", command, os.environ, log)


def says_here(log: Path) -> bool:
    return "here" in log.read_text().splitlines()


def test_a_child_writes_to_its_log_and_runs_in_its_folder(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os, sys; print(os.getcwd(), os.environ['SAY']); print('!', file=sys.stderr)"
    child = Child("c", [sys.executable, "-c", code], {**os.environ, "SAY": "this"}, log)
    wait_until(lambda: not is_running(child.pid), "the child's end")
    assert log.read_text().splitlines() == [f"{tmp_path} this", "!"]
    child.stop()


def test_a_running_child_is_seen_to_run_and_stops(tmp_path: Path) -> None:
    child = start(SLEEP, tmp_path / "log")
    child.check()
    child.stop()
    assert not is_running(child.pid)
    child.stop()  # nothing is left to be stopped


def test_the_end_of_a_child_is_told_with_its_own_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier run\n")
    code = "import sys; print('\\n'.join(map(str, range(200)))); sys.exit('gone: \\udcff')"
    child = start([sys.executable, "-c", code], log)
    wait_until(lambda: not is_running(child.pid), "the child's end")
    with pytest.raises(RuntimeError, match="the child ended with exit code 1") as caught:
        child.check()
    _, where, *lines = str(caught.value).splitlines()
    assert where == f"The end of {log}:"
    assert lines[0] == "151"
    assert lines[-1].startswith("gone")
    assert "earlier" in log.read_text()


def test_lines_of_an_earlier_run_are_not_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier run\n")
    child = start(SLEEP, log)
    wait_until(lambda: says_here(log), "the child's line")
    assert child.tail().splitlines() == [f"The end of {log}:", "here"]
    child.stop()


def test_a_command_that_does_not_exist_is_told(tmp_path: Path) -> None:
    child = start(["no-such-program"], tmp_path / "log")
    wait_until(lambda: not is_running(child.pid), "the child's end")
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        child.check()


def test_grandchildren_end_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = start([sys.executable, "-c", WITH_GRANDCHILD], log)
    wait_until(lambda: says_here(log), "the grandchild's line")
    grandchild = int(log.read_text().split()[0])
    assert is_running(grandchild)
    child.stop()
    wait_until(lambda: not is_running(grandchild), "the grandchild's end")
    assert not is_running(child.pid)


def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.1)
    log = tmp_path / "log"
    child = start([sys.executable, "-c", STUBBORN], log)
    wait_until(lambda: says_here(log), "the child's line")
    child.stop()
    assert not is_running(child.pid)


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    log = tmp_path / "log"
    child = start([sys.executable, "-c", STUBBORN], log)
    wait_until(lambda: says_here(log), "the child's line")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            child.stop()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not is_running(child.pid)


def test_a_terminals_interrupt_does_not_reach_a_child(tmp_path: Path) -> None:
    child = start(SLEEP, tmp_path / "log")
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    child.stop()


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    wait_until(lambda: not is_running(child), "the child's end")


def test_a_child_whose_parent_is_gone_already_never_starts() -> None:
    not_the_parent = str(os.getppid())
    command = [sys.executable, "-ES", "-c", BOUND_TO_PARENT, not_the_parent, "echo", "started"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b""
    command[4] = str(os.getpid())
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"started\n"

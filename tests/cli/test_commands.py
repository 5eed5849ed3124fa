"""What all commands share: help, version, errors."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from homefeed import __version__
from tests.cli.homefeed_process import run_homefeed

HEAVY = ("torch", "kfp", "ibis", "duckdb", "pandas", "faiss", "matplotlib")


def test_version() -> None:
    finished = run_homefeed("--version")
    assert (finished.returncode, finished.stdout) == (0, f"homefeed {__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "demo",
        "run",
        "serve",
        "publish",
        "prune",
        "plan",
        "query",
        "compile",
        "submit",
        "schedule",
    ],
)
def test_help_of_every_command(command: str) -> None:
    finished = run_homefeed(*command.split(), "--help")
    assert finished.returncode == 0
    assert f"Usage: homefeed {command}" in finished.stdout


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("homefeed.cli.commands", (*HEAVY, "numpy", "pyarrow", "httpx")),
        ("homefeed.cli.query", HEAVY),
    ],
)
def test_light_commands_import_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sorted(set({heavy}) & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.split() == []
    assert finished.returncode == 0


def test_a_command_line_that_cannot_be_read_ends_with_2() -> None:
    finished = run_homefeed("serve", "--port", "65536")
    assert finished.returncode == 2
    assert "65535" in finished.stderr
    assert finished.stdout == ""


def test_an_error_is_one_line_and_its_origin_is_shown_on_demand(tmp_path: Path) -> None:
    arguments = ("run", "ml-2m", "--work", tmp_path)
    finished = run_homefeed(*arguments)
    assert finished.returncode == 1
    assert finished.stderr.startswith("homefeed: no recipe 'ml-2m': shipped ones are ml-100k, ")
    assert len(finished.stderr.splitlines()) == 1
    shown = run_homefeed(*arguments, HOMEFEED_TRACEBACK="1")
    assert shown.returncode == 1
    assert "Traceback (most recent call last)" in shown.stderr
    assert "ValueError: no recipe 'ml-2m'" in shown.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_would_catch_an_exception(number: signal.Signals) -> None:
    code = f"""
import os
from homefeed.cli.signals import stop_at_once

stop_at_once()
try:
    os.kill(os.getpid(), {int(number)})
except BaseException:
    pass
print("went on")
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 128 + number
    assert finished.stdout == ""
    assert finished.stderr.strip() == "homefeed: stopped, with all that it had started"

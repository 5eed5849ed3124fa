"""Where a measurement was taken: the commit of the code, and the machine."""

import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

import psutil
import torch

CPU_FACTS = Path("/proc/cpuinfo")
NO_CODE = (":(top,exclude)docs", ":(top,exclude)*.md")
"""Where results are written, which edits no code."""


@cache
def commit() -> str:
    """The short hash of the commit that this code stands at, "-dirty" after it where it was edited.

    Documents, and the results among them, are no code. Empty where there is no git, or the code
    lies in no repository.
    """
    try:
        head = _git("rev-parse", "--short", "HEAD")
        edited = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *NO_CODE)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + "-dirty" * bool(edited)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def machine() -> str:
    """The machine in words: CPU model, cores that this process may use, memory, GPUs."""
    num_cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    parts = [_cpu_model(), f"{num_cores} cores", f"{memory:.0f} GiB"]
    if num_gpus := torch.cuda.device_count():
        parts.append(f"{num_gpus} × {torch.cuda.get_device_name(0)}")
    return ", ".join(parts)


def _cpu_model() -> str:
    text = CPU_FACTS.read_text() if CPU_FACTS.is_file() else ""
    named = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return named[1] if named else platform.machine()

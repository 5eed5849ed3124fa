"""A release store, the folder of a pod, and the real command between them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homefeed.release.store import ReleaseStore
from tests.release.bare_release import write_bare_release

NOTHING: Mapping[str, str] = MappingProxyType({})


class Fetching:
    """One pod's fetch, which can be tried again and again."""

    def __init__(self, root: Path, store: str) -> None:
        self.store = store
        self.to = root / "pod" / "current"
        self.termination_log = root / "termination-log"
        self.termination_log.touch()
        self._root = root

    def publish(self, created_at: int) -> str:
        """Publishes another release to the channel `production`."""
        folder = self._root / f"release-{created_at}"
        write_bare_release(folder, created_at, f"tower of {created_at}")
        return ReleaseStore(self.store).publish(folder, "production")

    def run(
        self,
        *options: str,
        version: str = "production",
        variables: Mapping[str, str] = NOTHING,
    ) -> tuple[int, list[dict[str, Any]]]:
        """Exit code, and the log's lines of this project."""
        command = [sys.executable, "-m", "serving.fetch_release"]
        command += ["--store", self.store, "--version", version, "--to", str(self.to)]
        command += ["--termination-log", str(self.termination_log), *options]
        environment = {**os.environ, **variables}
        finished = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        lines = [line for line in finished.stderr.splitlines() if line.startswith("{")]
        return finished.returncode, [json.loads(line) for line in lines]

    def refused(
        self,
        *options: str,
        version: str = "production",
        variables: Mapping[str, str] = NOTHING,
    ) -> str:
        """Why it fails: the log and the termination message say the same."""
        code, lines = self.run(*options, version=version, variables=variables)
        assert code == 1
        (line,) = (line for line in lines if line["event"] == "cannot fetch")
        assert line["level"] == "error"
        assert self.termination_log.read_text() == line["reason"]
        return line["reason"]

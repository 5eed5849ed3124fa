"""The helm binary, for one release of the chart; what it complains of becomes an error."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from homefeed.deployment.config import ClusterConfig

CHART_VARIABLE = "HOMEFEED_CHART"
"""Folder of the chart; the images of the pipelines' steps set it."""
CHART = Path("helm/homefeed-retrieval")
"""In the root of the repository, where it is not set."""
DEFAULT_VERSION = "production"
"""`release.version` of the chart's own values."""
PENDING = "pending-"
"""The begin of the state of a release whose helm died, or is still at work."""
GRACE_SECONDS = 60
"""Beyond all that helm may wait for."""


class Revision(msgspec.Struct, frozen=True):
    """A line of `helm history`."""

    revision: int
    status: str


class Helm:
    """A release of the chart, which may not be there yet; `release` is helm's word for it."""

    def __init__(self, config: ClusterConfig, kubeconfig: Path | None) -> None:
        """Finds helm and the chart.

        Args:
            config: namespace, name and values.
            kubeconfig: None for the environment's.

        Raises:
            ValueError: either is not there.
        """
        self._config = config
        self._chart = Path(os.environ.get(CHART_VARIABLE, CHART))
        if not (self._chart / "Chart.yaml").is_file():
            raise ValueError(
                f"there is no chart in {self._chart}: set {CHART_VARIABLE} to the folder "
                "helm/homefeed-retrieval of the repository"
            )
        if (program := shutil.which("helm")) is None:
            raise ValueError("there is no helm on PATH: install helm 4")
        self._program = program
        self._environment = dict(os.environ)
        if kubeconfig is not None:
            self._environment["KUBECONFIG"] = str(kubeconfig)

    def history(self) -> list[Revision]:
        """The revisions, oldest first; none where nothing is installed."""
        done = self._run("history", self._config.name, "--output", "json")
        if done.returncode:
            if "release: not found" in done.stderr:
                return []
            raise self._error(done)
        return msgspec.json.decode(done.stdout, type=list[Revision])

    def version(self, revision: int) -> str:
        """`release.version` of a revision."""
        which = (self._config.name, f"--revision={revision}")
        text = self._must("get", "values", *which, "--output", "json")
        given: Any = msgspec.json.decode(text) or {}
        return given.get("release", {}).get("version", DEFAULT_VERSION)

    def manifest(self) -> str:
        """The objects of what is installed."""
        return self._must("get", "manifest", self._config.name)

    def planned_manifest(self, version: str) -> str:
        """The objects that an upgrade would make of them, as the API server would take them."""
        options = ("--dry-run=server", "--hide-notes", "--output", "json")
        try:
            text = self._upgrade(version, *options)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return msgspec.json.decode(text)["manifest"]

    def upgrade(self, version: str) -> None:
        """Installs or upgrades, and waits for the pods; helm itself goes back where that fails.

        Raises:
            RuntimeError: it failed; says helm's reason.
        """
        self._upgrade(version, "--rollback-on-failure", *self._wait())

    def roll_back(self, revision: int) -> None:
        """Goes back to a revision, and waits for its pods.

        Raises:
            RuntimeError: it failed; says helm's reason.
        """
        self._must("rollback", self._config.name, str(revision), *self._wait())

    def uninstall(self) -> None:
        """Takes everything away that it installed.

        Raises:
            RuntimeError: it failed; says helm's reason.
        """
        self._must("uninstall", self._config.name, *self._wait())

    def _upgrade(self, version: str, *options: str) -> str:
        """Values that are given take the place of all before; else those of before are kept."""
        values = self._config.values
        with TemporaryDirectory(prefix="homefeed-") as scratch:
            file = Path(scratch) / "values.json"
            file.write_bytes(msgspec.json.encode(values))
            return self._must(
                *("upgrade", self._config.name, str(self._chart), "--install"),
                *(("--reset-values",) if values else ("--reset-then-reuse-values",)),
                *("--values", str(file), "--set-string", f"release.version={version}"),
                *options,
            )

    def _wait(self) -> tuple[str, ...]:
        return ("--wait", f"--timeout={self._config.timeout_seconds}s")

    def _must(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise self._error(done)
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # An upgrade that fails waits twice, the second time on its way back.
        most_seconds = 2 * self._config.timeout_seconds + GRACE_SECONDS
        try:
            return subprocess.run(
                [self._program, *arguments, "--namespace", self._config.namespace],
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=most_seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(
                f"helm {arguments[0]} {self._config.name} did not end within {most_seconds} s"
            ) from error

    def _error(self, done: subprocess.CompletedProcess[str]) -> RuntimeError:
        lines = [line.removeprefix("Error: ") for line in done.stderr.strip().splitlines()]
        said = " ".join(line for line in lines if not line.startswith("level="))
        return RuntimeError(f"helm {done.args[1]} {self._config.name}: {said}")

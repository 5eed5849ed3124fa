"""What a release is put into service on: a cluster, or processes of this machine."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from homefeed.deployment.layout import Status

CheckLock = Callable[[], None]
"""Raises RuntimeError where the lock was lost."""


class Target(Protocol):
    """Where releases are served, one deployment at a time."""

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    def locked(self) -> AbstractContextManager[CheckLock]:
        """Keeps other deployments out.

        Raises:
            ValueError: another is at work; names it.
        """
        ...

    def mend(self) -> str:
        """Takes back what a deployment left that died at work; for who holds the lock.

        Returns:
            What was done, empty where nothing had to be.

        Raises:
            RuntimeError: it cannot be taken back.
        """
        ...

    def before(self) -> str:
        """What is served: a version, or a channel that is followed; empty for nothing."""
        ...

    def plan(self, version: str) -> str:
        """What would change, as a diff; empty where the version is served as it is wanted.

        Raises:
            ValueError: it cannot be served there; says why.
        """
        ...

    def upgrade(self, version: str) -> None:
        """Serves a version, and waits until it can be asked.

        Raises:
            RuntimeError: it cannot; what was served before is served again.
        """
        ...

    def urls(self, version: str) -> Mapping[str, str]:
        """Name to URL of all that must answer from a version.

        Raises:
            RuntimeError: that cannot be told.
        """
        ...

    def roll_back(self) -> None:
        """Serves what was served before the upgrade; nothing where nothing was.

        Raises:
            RuntimeError: it cannot.
        """
        ...

    def status(self) -> Status:
        """What is there now, and what was said since this was made.

        Raises:
            RuntimeError: that cannot be told.
        """
        ...

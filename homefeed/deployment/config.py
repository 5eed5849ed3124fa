"""Where a release is put into service, and what it must then answer."""

from pathlib import Path
from typing import Any

from homefeed.config import Config

STEP_TOKEN_FOLDER = Path("/var/run/secrets/homefeed-deployer")
"""Where a step has the token of the account that deploys; its pod has the one that all steps of a
run share."""


class ClusterConfig(Config, frozen=True, tag_field="kind", tag="cluster"):
    """The chart, in a namespace of a Kubernetes."""

    namespace: str = "homefeed-serving"
    name: str = "home"
    """What `helm install` was given, or is to be."""
    values: dict[str, Any] = {}
    """Of the chart, all that are not its defaults; empty keeps those of what is installed. Which
    release is served is never taken from here."""
    timeout_seconds: int = 600
    """In which all pods must be ready, and as long again for the way back. A step of a pipeline has
    half an hour for all of it."""
    lock_seconds: int = 30
    """After which a lock is free whose holder died without a word."""

    def __post_init__(self) -> None:
        for name in ("timeout_seconds", "lock_seconds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")


class LocalConfig(Config, frozen=True, tag_field="kind", tag="local"):
    """The processes of `homefeed serve`, on this machine."""

    folder: str
    """Of the releases that are served and were before, of logs and of `serving.json`."""
    port: int = 8080
    """Of the REST API."""
    timeout_seconds: int = 120
    """In which the processes must answer."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port={self.port} must be from 1 to 65535")
        if self.timeout_seconds < 1:
            raise ValueError(f"timeout_seconds={self.timeout_seconds} must be at least 1")


class SmokeTestConfig(Config, frozen=True):
    """What each new pod is asked for, and must answer rightly."""

    users: tuple[str, ...] = ()
    """Ids of users that a release should know. One that no release knows is asked for as well."""
    k: int = 10
    """Pins that each must get, or as many as there are."""
    tries: int = 3
    """Of each question, as the first ones to a new pod may be late."""
    timeout_seconds: float = 10.0
    """Of each try."""

    def __post_init__(self) -> None:
        for name in ("k", "tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"smoke_test.{name}={getattr(self, name)} must be at least 1")
        if self.timeout_seconds <= 0:
            raise ValueError(
                f"smoke_test.timeout_seconds={self.timeout_seconds:g} must be more than 0"
            )


class DeploymentConfig(Config, frozen=True):
    """A deployment; the release, its store and its channel are said by who asks for it."""

    to: ClusterConfig | LocalConfig = ClusterConfig()
    smoke_test: SmokeTestConfig = SmokeTestConfig()
    dry_run: bool = False
    """Says what would change, and changes nothing."""

"""What a deployment did and saw: `deployment.json`, and a page with the same."""

from enum import StrEnum

import msgspec

DEPLOYMENT_FILE = "deployment.json"
REPORT_FILE = "report.html"


class Outcome(StrEnum):
    """How a deployment ended."""

    DEPLOYED = "deployed"
    UNCHANGED = "unchanged"  # it was deployed already, and answers
    DRY_RUN = "dry run"
    REFUSED = "refused"  # before anything was changed
    ROLLED_BACK = "rolled back"  # it failed, and what was there before is there again
    FAILED = "failed"  # what is there now needs somebody to look at it


GOOD = (Outcome.DEPLOYED, Outcome.UNCHANGED, Outcome.DRY_RUN)


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """What answers requests: a pod, or on one machine a process."""

    name: str
    version: str
    """Of the release, or a channel that it follows."""
    is_ready: bool
    restarts: int = 0
    state: str = ""
    """What it waits for, or how it ended; empty where it runs."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What the cluster said about an object while it was deployed to."""

    time: str
    about: str
    kind: str
    """`Normal` or `Warning`."""
    reason: str
    message: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is there."""

    summary: str
    pods: tuple[Pod, ...] = ()
    conditions: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    """The oldest first."""

    @property
    def warnings(self) -> list[str]:
        """What the cluster complained of, each once, by when it last did; the newest last."""
        warnings = [each for each in self.events if each.kind == "Warning"]
        newest_first = (f"{each.reason}: {each.message}" for each in reversed(warnings))
        return list(dict.fromkeys(newest_first))[::-1]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A question of the smoke test, and what was wrong with the answer to its last try."""

    pod: str
    user: str
    milliseconds: float
    num_pins: int = 0
    complaint: str = ""
    """Empty where it was right."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    outcome: Outcome
    version: str
    store: str
    channel: str
    """Empty where none is looked at."""
    target: str
    before: str = ""
    """What was served: a version, or a channel; empty for nothing."""
    why: str = ""
    """It did not end well; empty where it did."""
    started_at: str
    seconds: float
    steps: tuple[str, ...] = ()
    """What was done, in order."""
    changes: str = ""
    """Of the objects, as a unified diff."""
    answers: tuple[Answer, ...] = ()
    """Of the last smoke test."""
    status: Status | None = None
    """At the end."""

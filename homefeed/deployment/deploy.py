"""Puts a published release into service, asks it, and takes it back where it fails."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from homefeed.contracts import VERSION
from homefeed.deployment.config import DeploymentConfig
from homefeed.deployment.fits import check_fits, check_way_back
from homefeed.deployment.layout import Answer, Deployment, Outcome
from homefeed.deployment.report import write_deployment
from homefeed.deployment.smoke_test import run_smoke_test
from homefeed.deployment.target import Target
from homefeed.release.store import ReleaseStore

PROBE_FAILED = "Unhealthy: "
"""The begin of an event's text."""
MAX_WARNINGS = 5
"""Of the cluster's, the newest, in the message of a deployment that failed."""


class Order(msgspec.Struct, frozen=True):
    """Which release is to be deployed."""

    store: str
    """URL of the release store."""
    version: str
    channel: str
    """What must stand for the release, and stands for the one before it after a rollback; empty
    for none."""


def deploy(order: Order, config: DeploymentConfig, target: Target, output: Path) -> Deployment:
    """Deploys a release, unless it is deployed already and answers.

    1. Check that the release fits: its schema, its embedding space, its channel.
    2. Take the lock, and mend what a deployment left that died.
    3. Compare what is there with what is wanted; a dry run ends here, before any lock.
    4. Upgrade to exactly this version, and wait until all of it can be asked.
    5. Ask the new pods.
    6. Go back where one of these two failed, and point the channel back.

    Args:
        order: which release.
        config: what must be answered, and whether anything is changed.
        target: where it is served.
        output: folder of the report, which is there however this ends.

    Returns:
        What was done.

    Raises:
        ValueError: it was refused; nothing was changed.
        RuntimeError: it failed. Unless the message says otherwise, what was served before is served
            again.
    """
    running = _Running(order, config, target)
    try:
        running.go()
    except Exception as error:
        running.note_failure(error)
        raise
    finally:
        deployment = running.report()
        write_deployment(deployment, output)
    return deployment


class _Running:
    """A deployment under way."""

    def __init__(self, order: Order, config: DeploymentConfig, target: Target) -> None:
        self._order, self._config, self._target = order, config, target
        self._begin, self._started = time.monotonic(), datetime.now(UTC)
        self._outcome = Outcome.REFUSED
        self._before = self._changes = self._why = ""
        self._steps: list[str] = []
        self._answers: tuple[Answer, ...] = ()

    def go(self) -> None:
        order, target = self._order, self._target
        manifest = check_fits(order.store, order.version, order.channel)
        self._step(f"release {order.version} of {order.store} fits")
        if self._config.dry_run:
            self._plan()
            self._outcome = Outcome.DRY_RUN
            return
        with target.locked() as check_lock:
            self._step(f"locked {target.title}")
            self._mend()
            self._plan()
            if self._changes:
                check_lock()
                self._upgrade()
            num_pins = int(manifest.metrics["num_pins"])
            complaint = self._ask(num_pins)
            if complaint and self._changes:
                check_lock()
                self._roll_back(complaint)
            if complaint:
                self._outcome = Outcome.FAILED
                raise RuntimeError(
                    f"release {order.version} is deployed to {target.title} already, and does not "
                    f"answer as it should: {complaint}. Nothing was changed"
                )
            self._outcome = Outcome.DEPLOYED if self._changes else Outcome.UNCHANGED

    def _mend(self) -> None:
        before, self._outcome = self._outcome, Outcome.FAILED
        if mended := self._target.mend():
            self._step(mended)
        else:
            self._outcome = before

    def _plan(self) -> None:
        order, target = self._order, self._target
        self._before = target.before()
        check_way_back(self._before, target.title, order.channel)
        self._changes = target.plan(order.version)
        what = "would change" if self._changes else "is what is wanted"
        self._step(f"{target.title} serves {self._before or 'nothing'}, which {what}")

    def _upgrade(self) -> None:
        self._outcome = Outcome.FAILED
        try:
            self._target.upgrade(self._order.version)
        except RuntimeError as error:
            if (now := self._target.before()) != self._before:
                raise RuntimeError(
                    f"{self._target.title} is left with {now or 'nothing'}: {error}"
                ) from error
            self._step("the upgrade failed and was rolled back")
            raise self._rolled_back(f"{error}{self._warnings()}") from error
        self._step(f"upgraded to {self._order.version}")

    def _ask(self, num_pins: int) -> str:
        """Asks what must answer from the release; returns what is wrong, empty for nothing."""
        order = self._order
        try:
            urls = self._target.urls(order.version)
        except RuntimeError as error:
            return str(error)
        if not urls:
            return f"no pod of {self._target.title} is ready with release {order.version}"
        self._answers = tuple(
            run_smoke_test(urls, order.version, num_pins, self._config.smoke_test)
        )
        wrong = [each for each in self._answers if each.complaint]
        self._step(
            f"asked {len(urls)} pods {len(self._answers)} questions: {len(wrong)} answers were "
            "wrong"
        )
        return "; ".join(
            f"{complaint}: {count} answers of {len(self._answers)}"
            for complaint, count in Counter(each.complaint for each in wrong).items()
        )

    def _roll_back(self, complaint: str) -> None:
        try:
            self._target.roll_back()
        except RuntimeError as error:
            raise RuntimeError(
                f"the smoke test failed: {complaint}. The way back to {self._before or 'nothing'} "
                f"failed too: {error}"
            ) from error
        self._step(f"rolled back to {self._before or 'nothing'}")
        raise self._rolled_back(f"the smoke test failed: {complaint}")

    def _rolled_back(self, why: str) -> RuntimeError:
        order = self._order
        self._outcome = Outcome.ROLLED_BACK
        if order.channel and VERSION.fullmatch(self._before):
            self._point_back()
        return RuntimeError(
            f"release {order.version} was not deployed to {self._target.title}, which serves "
            f"{self._before or 'nothing'} as before: {why}"
        )

    def _point_back(self) -> None:
        channel, before = self._order.channel, self._before
        try:
            ReleaseStore(self._order.store).point(channel, before, self._order.version)
        except Exception as error:  # clients of object stores raise what they like
            self._step(f"channel {channel} could not be pointed back to {before}: {error}")
        else:
            self._step(f"channel {channel} stands for {before} again")

    def _warnings(self) -> str:
        """The newest complaints of the cluster, as the end of a message."""
        try:
            said = self._target.status().warnings
        except RuntimeError as error:
            return f"\n{error}"
        # A pod that loads fails its probes as one that never will does.
        causes = [line for line in said if not line.startswith(PROBE_FAILED)] or said
        return "".join(f"\n{line}" for line in causes[-MAX_WARNINGS:])

    def note_failure(self, error: Exception) -> None:
        self._why = str(error)

    def report(self) -> Deployment:
        status = None
        if self._outcome is not Outcome.REFUSED:
            with _told("what is there now is not known"):
                status = self._target.status()
        return Deployment(
            outcome=self._outcome,
            version=self._order.version,
            store=self._order.store,
            channel=self._order.channel,
            target=self._target.title,
            before=self._before,
            why=self._why,
            started_at=self._started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._begin, 1),
            steps=tuple(self._steps),
            changes=self._changes,
            answers=self._answers,
            status=status,
        )

    def _step(self, line: str) -> None:
        self._steps.append(line)
        print(line, file=sys.stderr)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Lets a failure pass that must not hide the one before it."""
    try:
        yield
    except Exception as error:
        print(f"{what}: {error}", file=sys.stderr)

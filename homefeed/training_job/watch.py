"""Watches a TrainJob to its end, and says why where that is no good one."""

import sys
import time
from typing import Any

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from homefeed.training_job.cluster import Cluster
from homefeed.training_job.config import NodesConfig
from homefeed.training_job.failure import Failure, read_failure
from homefeed.training_job.status import COMPLETE, ending, num_up, reason, state

SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_BETWEEN_LINES = 60.0
"""Between lines of the first pod's log that are shown while all pods run."""
SILENCE_SECONDS = 300.0
"""Without an answer of the API, whose server may be replaced while a training runs."""
FAILURE_LINES = 200
"""Of the log of a pod that failed, among which the begin of its complaint should be."""
MAX_WARNINGS = 5


class Watch:
    """A TrainJob that was just created."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        config: NodesConfig,
        seconds_between_looks: float = SECONDS_BETWEEN_LOOKS,
    ) -> None:
        """Starts the clocks.

        Args:
            cluster: the job's.
            name: of the job.
            config: how many pods it has and how long they may take.
            seconds_between_looks: of `until_end`.
        """
        self._cluster, self._name, self._config = cluster, name, config
        self._seconds_between_looks = seconds_between_looks
        self._begin = self._all_up = self._heard = self._shown = time.monotonic()
        self._state = ""
        self._failed: set[str] = set()
        """Uids of all pods that were seen to have failed; a restart removes the pods."""
        self._failures: list[Failure] = []
        """Of the last pods that failed together."""
        self._have_run = False
        """All pods, since the last failure: the next is a new one."""

    def until_end(self) -> None:
        """Returns once the job is complete; tells standard error how it gets on.

        Raises:
            RuntimeError: it failed, took too long, could not start, was deleted by others, or
                nothing was heard of it for some minutes.
        """
        while True:
            try:
                is_complete = self._look()
            except (ApiException, HTTPError) as error:
                self._bear(error)
            else:
                if is_complete:
                    return
                self._heard = time.monotonic()
            time.sleep(self._seconds_between_looks)

    def _look(self) -> bool:
        """Looks once; whether the job is complete."""
        job, pods = self._cluster.find(self._name), self._cluster.pods(self._name)
        self._note_failures(pods)
        if job is None or "deletionTimestamp" in job["metadata"]:
            raise RuntimeError(f"TrainJob {self._name} was deleted while it was trained")
        if end := ending(job):
            how, message = end
            if how == COMPLETE:
                return True
            raise RuntimeError(f"TrainJob {self._name} failed: {message}{self._why()}")
        self._check_clocks(pods)
        self._show(pods)
        return False

    def _note_failures(self, pods: list[Any]) -> None:
        new = [
            pod
            for pod in pods
            if pod.status.phase == "Failed" and pod.metadata.uid not in self._failed
        ]
        if not new:
            return
        if self._have_run:
            self._failures, self._have_run = [], False
        logs = [self._cluster.log(each.metadata.name, FAILURE_LINES, True) for each in new]
        self._failures += map(read_failure, new, logs)
        self._failed |= {pod.metadata.uid for pod in new}
        _print(str(min(self._failures)))

    def _check_clocks(self, pods: list[Any]) -> None:
        now, config = time.monotonic(), self._config
        if num_up(pods) >= config.num_nodes:
            self._all_up, self._have_run = now, True
        if now - self._all_up > config.start_timeout_seconds:
            raise RuntimeError(
                f"TrainJob {self._name} could not start within {config.start_timeout_seconds:g} s: "
                f"{state(pods, config.num_nodes)}{self._warnings() or _hint(pods)}"
            )
        if now - self._begin > config.timeout_seconds:
            raise RuntimeError(
                f"TrainJob {self._name} took longer than {config.timeout_seconds:g} s: "
                f"{state(pods, config.num_nodes)}"
            )

    def _why(self) -> str:
        """The cause, by the pods that failed last; without any, what the cluster complains of."""
        return f"; {min(self._failures)}" if self._failures else self._warnings()

    def _warnings(self) -> str:
        """The newest complaints of the cluster, as the end of a message."""
        warnings = self._cluster.warnings(self._name)[-MAX_WARNINGS:]
        return "".join(f"\n{warning}" for warning in warnings)

    def _show(self, pods: list[Any]) -> None:
        now, seen = time.monotonic(), state(pods, self._config.num_nodes)
        if seen != self._state:
            _print(seen)
        elif now - self._shown > SECONDS_BETWEEN_LINES and pods:
            # A progress bar goes back to the begin of its line.
            lines = self._cluster.log(pods[0].metadata.name, 1).replace("\r", "\n").split("\n")
            _print(next((line for line in reversed(lines) if line.strip()), seen))
        else:
            return
        self._state, self._shown = seen, now

    def _bear(self, error: ApiException | HTTPError) -> None:
        """Lets a failed request pass for some minutes, unless it was refused for good."""
        why: str | HTTPError = error if isinstance(error, HTTPError) else reason(error)
        is_refused = isinstance(error, ApiException) and error.status == 403
        if is_refused or time.monotonic() - self._heard > SILENCE_SECONDS:
            raise RuntimeError(f"TrainJob {self._name} cannot be watched: {why}") from error
        _print(f"no answer of the cluster, asking again: {why}")


def _hint(pods: list[Any]) -> str:
    return "" if pods else "; nothing acted on the job: does Kubeflow Trainer's controller run?"


def _print(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr)

"""What Kubernetes says of a TrainJob and its pods, in few words."""

import json
from typing import Any

from kubernetes.client import ApiException

COMPLETE, FAILED = "Complete", "Failed"
"""Conditions that end a TrainJob."""
UP = ("Running", "Succeeded")
"""Phases of a pod that has started; one may be done before the others are."""


def reason(error: ApiException) -> str:
    """Why the API refused, in its own words."""
    try:
        return json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"


def ending(train_job: dict[str, Any]) -> tuple[str, str] | None:
    """How a TrainJob ended, `COMPLETE` or `FAILED`, and its message; None while it has not."""
    for condition in train_job.get("status", {}).get("conditions", []):
        if condition["type"] in (COMPLETE, FAILED) and condition["status"] == "True":
            return condition["type"], condition.get("message", "")
    return None


def num_up(pods: list[Any]) -> int:
    """How many pods have started and not failed."""
    return sum(pod.status.phase in UP for pod in pods)


def state(pods: list[Any], num_nodes: int) -> str:
    """How many pods run, and what the others wait for, which is often the same."""
    waits: dict[str, list[str]] = {}
    for pod in pods:
        if pod.status.phase not in UP:
            waits.setdefault(hindrance(pod), []).append(pod.metadata.name)
    others = [f"{why} ({', '.join(names)})" for why, names in waits.items()]
    return "; ".join([f"{num_up(pods)} of {num_nodes} pods run", *others])


def hindrance(pod: Any) -> str:
    """Why a pod does not run: what it waits for, or how it ended."""
    for status in pod.status.container_statuses or []:
        if waiting := status.state.waiting:
            return ", ".join(filter(None, [waiting.reason, waiting.message]))
        if ended := status.state.terminated:
            return f"{ended.reason}, exit code {ended.exit_code}"
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status != "True":
            return ", ".join(filter(None, [condition.reason, condition.message]))
    return pod.status.reason or pod.status.phase


def is_out_of_memory(pod: Any) -> bool:
    """Whether the kernel killed all of a pod's container: it used more memory than it may."""
    ends = [status.state.terminated for status in pod.status.container_statuses or []]
    return any(end and end.reason == "OOMKilled" for end in ends)


def failed_at(pod: Any) -> float:
    """When a failed pod's container ended, in Unix seconds; infinite where it never began."""
    ends = [status.state.terminated for status in pod.status.container_statuses or []]
    times = [end.finished_at.timestamp() for end in ends if end and end.finished_at]
    return min(times, default=float("inf"))

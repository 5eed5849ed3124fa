"""What Kubernetes says of the chart's Deployment and its pods, as plain records."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes import client
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from homefeed.deployment.layout import Event, Pod, Status
from homefeed.training_job.status import hindrance, reason

PATIENCE_SECONDS = 10.0
INSTANCE_LABEL = "app.kubernetes.io/instance"
HASH_LABEL = "pod-template-hash"
"""Of pods of a Deployment; the pod of `helm test` has none."""
FETCH_CONTAINER = "fetch-release"
VERSION_OPTION = "--version="
HTTP_PORT = "http"
CLOCK_SECONDS = 2
"""By which the cluster's clock may be behind, and events have whole seconds."""


class Observed:
    """A release of the chart, as the API shows it from now on."""

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        """Takes a client, and namespace and name of the release; events before now are left out."""
        self._apps, self._core = client.AppsV1Api(api), client.CoreV1Api(api)
        self._namespace, self._name = namespace, name
        self._since = datetime.now(UTC) - timedelta(seconds=CLOCK_SECONDS)

    def status(self) -> Status:
        """Deployment, pods and events.

        Raises:
            RuntimeError: the API does not answer, or refuses.
        """
        with self._asked():
            deployments, pods = self._deployments(), self._pods()
            events = self._events({each.metadata.name for each in deployments})
        return Status(
            summary="; ".join(map(_summary, deployments)) or "there is no Deployment",
            pods=tuple(map(_pod, pods)),
            conditions=tuple(line for each in deployments for line in _conditions(each)),
            events=events,
        )

    def urls(self, version: str) -> Mapping[str, str]:
        """Name to URL of the pods that were made for a version and are ready.

        Raises:
            RuntimeError: the API does not answer, or refuses.
        """
        with self._asked():
            pods = self._pods()
        return {
            pod.metadata.name: _url(pod)
            for pod in pods
            if _version(pod) == version and _is_ready(pod) and not pod.metadata.deletion_timestamp
        }

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except (ApiException, HTTPError) as error:
            said = reason(error) if isinstance(error, ApiException) else str(error)
            raise RuntimeError(
                f"the cluster does not say what is in namespace {self._namespace}: {said}"
            ) from error

    def _deployments(self) -> list[Any]:
        answer: Any = self._apps.list_namespaced_deployment(
            self._namespace, label_selector=self._selector, _request_timeout=PATIENCE_SECONDS
        )
        return answer.items

    def _pods(self) -> list[Any]:
        answer: Any = self._core.list_namespaced_pod(
            self._namespace,
            label_selector=f"{self._selector},{HASH_LABEL}",
            _request_timeout=PATIENCE_SECONDS,
        )
        return sorted(answer.items, key=lambda pod: pod.metadata.creation_timestamp)

    def _events(self, names: set[str]) -> tuple[Event, ...]:
        """Those of the Deployments, and of ReplicaSets and pods, whose names begin with theirs."""
        answer: Any = self._core.list_namespaced_event(
            self._namespace, _request_timeout=PATIENCE_SECONDS
        )
        found = [
            (time, each)
            for each in answer.items
            if (time := each.last_timestamp or each.event_time or each.metadata.creation_timestamp)
            >= self._since
            and any(f"{each.involved_object.name}-".startswith(f"{name}-") for name in names)
        ]
        return tuple(
            Event(
                time=time.isoformat(timespec="seconds"),
                about=f"{each.involved_object.kind} {each.involved_object.name}",
                kind=each.type or "",
                reason=each.reason or "",
                message=each.message or "",
            )
            for time, each in sorted(found, key=lambda pair: pair[0])
        )

    @property
    def _selector(self) -> str:
        return f"{INSTANCE_LABEL}={self._name}"


def _summary(deployment: Any) -> str:
    spec, status = deployment.spec, deployment.status
    return (
        f"Deployment {deployment.metadata.name}: {status.ready_replicas or 0} of {spec.replicas} "
        f"pods ready, {status.updated_replicas or 0} up to date"
    )


def _conditions(deployment: Any) -> list[str]:
    return [
        f"{each.type}={each.status}: {each.message}" for each in deployment.status.conditions or []
    ]


def _pod(pod: Any) -> Pod:
    statuses = [
        *(pod.status.init_container_statuses or []),
        *(pod.status.container_statuses or []),
    ]
    state = "" if _is_ready(pod) else _state(pod)
    return Pod(
        name=pod.metadata.name,
        version=_version(pod),
        is_ready=_is_ready(pod),
        restarts=sum(each.restart_count for each in statuses),
        state="ends" if pod.metadata.deletion_timestamp else state,
    )


def _state(pod: Any) -> str:
    """What keeps it: an initial container that did not do its work, or else what it waits for."""
    for each in pod.status.init_container_statuses or []:
        for ended in (each.state.terminated, each.last_state.terminated):
            if ended and ended.exit_code:
                said = (ended.message or "").strip()
                return f"{each.name}: {ended.reason}, exit code {ended.exit_code}; {said}"
    return hindrance(pod)


def _version(pod: Any) -> str:
    for container in pod.spec.init_containers or []:
        if container.name == FETCH_CONTAINER:
            for argument in container.args or []:
                if argument.startswith(VERSION_OPTION):
                    return argument.removeprefix(VERSION_OPTION)
    return ""


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


def _url(pod: Any) -> str:
    (port,) = (
        port.container_port
        for container in pod.spec.containers
        for port in container.ports or []
        if port.name == HTTP_PORT
    )
    host = pod.status.pod_ip
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

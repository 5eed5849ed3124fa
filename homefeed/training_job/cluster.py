"""What a training on several nodes asks Kubernetes' API for, in one namespace."""

from contextlib import suppress
from typing import Any

from kubernetes import client, config
from kubernetes.client import ApiException

from homefeed.training_job.manifest import GROUP, MANIFESTS, PLURAL, VERSION
from homefeed.training_job.status import reason

PATIENCE_SECONDS = 10.0
"""For one request."""
JOBSET_LABEL = "jobset.sigs.k8s.io/jobset-name"
"""Of every pod of a TrainJob, whose JobSet has its name."""


class Cluster:
    """The TrainJobs of a namespace, their pods and events."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        """Takes a client of the API and the namespace of the runs."""
        self._jobs = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._namespace = namespace
        self._place = (GROUP, VERSION, namespace, PLURAL)

    @classmethod
    def of_this_pod(cls, namespace: str) -> "Cluster":
        """The cluster that this process runs in, by the service account of its pod."""
        config.load_incluster_config()
        return cls(client.ApiClient(), namespace)

    def create(self, train_job: dict[str, Any]) -> None:
        """Creates a TrainJob.

        Raises:
            ValueError: the API refuses it, as for an unknown runtime, a field that this version of
                Trainer does not know, or a right that the service account lacks.
        """
        try:
            self._jobs.create_namespaced_custom_object(
                *self._place,
                train_job,
                # Without it, what a version does not know would be left out in silence.
                field_validation="Strict",
                _request_timeout=PATIENCE_SECONDS,
            )
        except ApiException as error:
            if error.status == 404:
                raise ValueError(
                    "the cluster knows no TrainJob: install Kubeflow Trainer 2.1 or newer, or "
                    "compile the pipeline with one node"
                ) from error
            raise ValueError(
                f"the cluster refuses TrainJob {train_job['metadata']['name']} in namespace "
                f"{self._namespace}: {reason(error)}. Its TrainingRuntime and the rights of the "
                f"step come with {MANIFESTS}"
            ) from error

    def find(self, name: str) -> dict[str, Any] | None:
        """A TrainJob, or None where there is none of the name."""
        try:
            found: Any = self._jobs.get_namespaced_custom_object(
                *self._place, name, _request_timeout=PATIENCE_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    def delete(self, name: str) -> None:
        """Deletes a TrainJob, where it is there; its pods end afterwards."""
        try:
            self._jobs.delete_namespaced_custom_object(
                *self._place,
                name,
                # A job that stays until its pods are gone is started anew by Trainer 2.1 meanwhile.
                propagation_policy="Background",
                _request_timeout=PATIENCE_SECONDS,
            )
        except ApiException as error:
            if error.status != 404:
                raise

    def pods(self, name: str) -> list[Any]:
        """The pods of a TrainJob, sorted by name and so by node."""
        answer: Any = self._core.list_namespaced_pod(
            self._namespace,
            label_selector=f"{JOBSET_LABEL}={name}",
            _request_timeout=PATIENCE_SECONDS,
        )
        return sorted(answer.items, key=lambda pod: pod.metadata.name)

    def log(self, pod: str, num_lines: int, timestamps: bool = False) -> str:
        """The last lines of a pod's log; empty where it has none, or is gone.

        Args:
            pod: its name.
            num_lines: how many, at most.
            timestamps: put its time before each.
        """
        with suppress(ApiException):
            log: Any = self._core.read_namespaced_pod_log(
                pod,
                self._namespace,
                tail_lines=num_lines,
                timestamps=timestamps,
                _request_timeout=PATIENCE_SECONDS,
            )
            return log
        return ""

    def warnings(self, name: str) -> list[str]:
        """What the cluster complains of a TrainJob, its Jobs and its pods, the newest last."""
        try:
            answer: Any = self._core.list_namespaced_event(
                self._namespace, field_selector="type=Warning", _request_timeout=PATIENCE_SECONDS
            )
        except ApiException as error:
            return [f"the cluster does not tell its events: {reason(error)}"]
        events = [
            each for each in answer.items if f"{each.involved_object.name}-".startswith(f"{name}-")
        ]
        events.sort(key=lambda each: each.metadata.creation_timestamp)
        # Each pod may have the same to say.
        return list(dict.fromkeys(f"{each.reason}: {each.message}" for each in events))

"""Which steps of a run failed, and why: KFP tells its last step no more than that some step did."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client, config

RUN_LABEL = "pipeline/runid"
"""Of every pod of a run of KFP's."""
NODE_ANNOTATION = "workflows.argoproj.io/node-name"
LAST_WORD = re.compile(r"^(\w+) failed: (.*)", re.MULTILINE)
"""How a failing step of ours says why; lines may follow that go on with it."""
RUNNER_LINE = re.compile(r'\n(?:[IWEF]\d{4} |time=|\{"time":|(?:Error: )?exit status )')
"""The begin of what KFP's launcher and Argo's executor log after the step, into the same log."""
TRY = re.compile(r"\(\d+\)$")
"""What Argo adds to the name of a node for each try of it."""
STEP_POD = ".executor"
"""The end of the name of the node in which KFP runs a step itself, not the driver before it."""
CONTAINER = "main"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LOG_LINES = 100
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Failure:
    """A step that failed, and the last that it said."""

    task: str
    message: str


@dataclass(frozen=True)
class Steps:
    """What became of a run's steps; of one that was retried, its last try counts."""

    failures: list[Failure] = field(default_factory=list)
    """In the order in which the steps began."""
    succeeded: set[str] = field(default_factory=set)
    """Their names in the pipeline; those from the cache have no pod and are not among them."""


def find_steps(run_id: str) -> Steps:
    """Asks the cluster that this process runs in; tells standard error where it cannot be asked.

    Args:
        run_id: of a run of KFP's.

    Returns:
        The steps; none where they are not known.
    """
    try:
        config.load_incluster_config()
        return read_steps(client.CoreV1Api(), NAMESPACE_FILE.read_text(), run_id)
    # The client lets what urllib3 raises pass, which has no base in common with its own.
    except Exception as error:
        print(f"the cluster does not say which step failed: {error}", file=sys.stderr)
        return Steps()


def read_steps(api: client.CoreV1Api, namespace: str, run_id: str) -> Steps:
    """The steps of a run by their pods.

    Args:
        api: of a cluster, where the pods may be listed and their logs read.
        namespace: of the run.
        run_id: of the run.
    """
    # The client's types leave open whether its answers hold what Kubernetes always sends.
    answer: Any = api.list_namespaced_pod(
        namespace, label_selector=f"{RUN_LABEL}={run_id}", _request_timeout=PATIENCE_SECONDS
    )
    pods = sorted(answer.items, key=lambda pod: pod.metadata.creation_timestamp)
    last_tries = {TRY.sub("", _node(pod)): pod for pod in pods}
    failures = [
        explain(pod, _read_log(api, pod))
        for pod in last_tries.values()
        if pod.status.phase == "Failed"
    ]
    succeeded = {
        node.removesuffix(STEP_POD).rpartition(".")[2]
        for node, pod in last_tries.items()
        if node.endswith(STEP_POD) and pod.status.phase == "Succeeded"
    }
    # The steps of a loop often fail alike.
    return Steps(list(dict.fromkeys(failures)), succeeded)


def explain(pod: Any, log: str) -> Failure:
    """Why a pod failed: by its own last word, to the end of it, or else by Kubernetes'.

    Every step of ours that fails by itself has a last word; one that is killed has none.

    Args:
        pod: one that failed.
        log: the end of what its step said.
    """
    if words := list(LAST_WORD.finditer(log)):
        said = words[-1]
        message, *_ = RUNNER_LINE.split(log[said.start(2) :], maxsplit=1)
        return Failure(said[1], message.rstrip())
    ends = [
        status.state.terminated
        for status in pod.status.container_statuses or []
        if status.name == CONTAINER and status.state.terminated
    ]
    reasons = [pod.status.reason, *(end.reason for end in ends)]
    codes = [f"exit code {end.exit_code}" for end in ends]
    return Failure(_node(pod), ", ".join([*filter(None, reasons), *codes]))


def _node(pod: Any) -> str:
    return (pod.metadata.annotations or {}).get(NODE_ANNOTATION, pod.metadata.name)


def _read_log(api: client.CoreV1Api, pod: Any) -> str:
    try:
        log: Any = api.read_namespaced_pod_log(
            pod.metadata.name,
            pod.metadata.namespace,
            container=CONTAINER,
            tail_lines=LOG_LINES,
            _request_timeout=PATIENCE_SECONDS,
        )
    except client.ApiException:
        return ""  # of a pod that never started, or is gone from its node
    return log

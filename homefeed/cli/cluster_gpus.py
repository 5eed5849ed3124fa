"""Whether a cluster's nodes offer the GPUs that a run asks for, and would wait for."""

from typing import Any

from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from homefeed.time_limit import time_limit

PATIENCE_SECONDS = 10
"""For the credentials, which another program may have to get, and then for the nodes."""


def check_gpus(num_gpus: int, gpu_type: str) -> str:
    """Looks at the nodes of the kubeconfig's current context, which need not be KFP's cluster.

    Args:
        num_gpus: that one step asks for, all on one node.
        gpu_type: the cluster's name of the resource.

    Returns:
        What was found, or why the nodes could not be looked at; names the context.

    Raises:
        ValueError: no node that takes pods offers as many; names the context and what is offered.
    """
    place = "the kubeconfig's context"
    try:
        _, current = config.list_kube_config_contexts()
        place = f"kubeconfig context {current['name']!r}"
        with time_limit(PATIENCE_SECONDS, f"no credentials within {PATIENCE_SECONDS} seconds"):
            config.load_kube_config(context=current["name"])
        with time_limit(PATIENCE_SECONDS, f"no answer within {PATIENCE_SECONDS} seconds"):
            answer: Any = client.CoreV1Api().list_node()
    except (ConfigException, ApiException, HTTPError, OSError, RuntimeError) as error:
        why = error.reason if isinstance(error, ApiException) else error
        return f"the nodes of {place} were not looked at for {num_gpus} {gpu_type}: {why}"
    offered = {
        node.metadata.name: int(node.status.allocatable.get(gpu_type, 0))
        for node in answer.items
        if not node.spec.unschedulable
    }
    if num_gpus > max(offered.values(), default=0):
        listed = ", ".join(f"{name} {number}" for name, number in sorted(offered.items()))
        raise ValueError(
            f"no node offers {num_gpus} {gpu_type}, so the training would wait for ever; those of "
            f"{place} that take pods offer: {listed or 'there are none'}. Give --gpus or "
            "--gpu-type what a node has; or --no-node-check where nodes with GPUs are started on "
            "demand, or KFP is in another cluster"
        )
    return f"a node of {place} offers {max(offered.values())} {gpu_type}"

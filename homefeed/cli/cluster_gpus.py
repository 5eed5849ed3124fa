"""Whether a cluster's nodes offer the GPUs that a run asks for, and would wait for."""

from typing import Any

from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

PATIENCE_SECONDS = 10


def check_gpus(num_gpus: int, gpu_type: str) -> str:
    """Looks at the nodes of the kubeconfig's cluster.

    Args:
        num_gpus: that one step asks for, all on one node.
        gpu_type: the cluster's name of the resource.

    Returns:
        What was found, or why the nodes could not be looked at.

    Raises:
        ValueError: no node offers as many; names what they offer.
    """
    try:
        config.load_kube_config()
        answer: Any = client.CoreV1Api().list_node(_request_timeout=PATIENCE_SECONDS)
    except (ConfigException, ApiException, HTTPError, OSError) as error:
        why = error.reason if isinstance(error, ApiException) else error
        return f"the cluster's nodes were not looked at for {num_gpus} {gpu_type}: {why}"
    offered = {
        node.metadata.name: int(node.status.allocatable.get(gpu_type, 0)) for node in answer.items
    }
    if num_gpus > max(offered.values(), default=0):
        listed = ", ".join(f"{name} {number}" for name, number in sorted(offered.items()))
        raise ValueError(
            f"no node offers {num_gpus} {gpu_type}, so the training would wait for ever; the nodes "
            f"offer: {listed or 'there are none'}. Give --gpus or --gpu-type what a node has, or "
            "--no-node-check where nodes with GPUs are started on demand"
        )
    return f"a node offers {max(offered.values())} {gpu_type}"

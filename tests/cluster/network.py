"""What can be reached on the cluster's network, and from where."""

import time
from typing import Any

from tests.cluster.pods import Client, Node
from tests.kubectl import get

REST = 8080
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
except OSError as error:
    print(type(error).__name__)
else:
    print("reached")
"""
REACHED = "reached"
ENFORCED_SECONDS = 30
DENY_ALL = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""


def reaches(pod: Client | Node, host: str, port: int = REST) -> bool:
    """Whether a pod of the tests can connect."""
    return pod.run("python", "-c", CONNECT, host, str(port)).strip() == REACHED


def is_cut_off(node: Node, pod: dict[str, Any]) -> bool:
    """Whether a stranger, before long, no longer reaches the REST port."""
    deadline = time.monotonic() + ENFORCED_SECONDS
    while reaches(node, address(pod)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def api_server() -> str:
    """The address of an API server, as a block."""
    slices = get("endpointslices", "--namespace", "default")
    (found,) = (each for each in slices if each["metadata"]["name"].startswith("kubernetes"))
    return f"{found['endpoints'][0]['addresses'][0]}/32"


def address(pod: dict[str, Any]) -> str:
    return pod["status"]["podIP"]

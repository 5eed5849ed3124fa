"""Leaves events on the pod that this process runs in, for `kubectl describe pod` and `get events`.

It is one request, for which an image of serving need not carry the client of Kubernetes. The pod
gives the process the variables POD_NAME, POD_NAMESPACE and POD_UID, and a folder with the API's
`token` and `ca.crt`.
"""

import logging
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import httpx

MAX_MESSAGE_BYTES = 1024
"""What Kubernetes takes of an event's message."""
TIMEOUT_SECONDS = 5.0

logger = logging.getLogger("serving.pod_events")


def leave_event(
    api_access: Path, kind: Literal["Normal", "Warning"], reason: str, message: str
) -> None:
    """Leaves an event on the pod; where that fails, only a line in the log says so.

    Args:
        api_access: folder with the API's token and certificate authority.
        kind: a warning is something that somebody must mend.
        reason: one word in CamelCase, for machines.
        message: for people.
    """
    try:
        _post(api_access, _event(kind, reason, message))
    except Exception as error:  # whatever it is, it must not keep the pod from starting
        facts = {"reason": f"{type(error).__name__}: {error}", "message": message}
        logger.warning("cannot leave an event on the pod", extra={"facts": facts})


def _event(kind: str, reason: str, message: str) -> dict[str, object]:
    pod, namespace = os.environ["POD_NAME"], os.environ["POD_NAMESPACE"]
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{pod}.", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod,
            "namespace": namespace,
            "uid": os.environ["POD_UID"],
        },
        "type": kind,
        "reason": reason,
        "message": message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore"),
        "source": {"component": "homefeed"},
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
    }


def _post(api_access: Path, event: dict[str, object]) -> None:
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    if ":" in host:
        host = f"[{host}]"
    url = f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    url += f"/api/v1/namespaces/{os.environ['POD_NAMESPACE']}/events"
    token = (api_access / "token").read_text().strip()
    trusted = ssl.create_default_context(cafile=api_access / "ca.crt")
    headers = {"Authorization": f"Bearer {token}"}
    # A proxy of the environment is for the object store; it does not reach the cluster's API.
    with httpx.Client(verify=trusted, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        try:
            answer = client.post(url, headers=headers, json=event)
        except httpx.HTTPError as error:
            raise ConnectionError(f"{url}: {error}") from error
    if answer.is_error:
        raise ConnectionError(f"{url} answers {answer.status_code}: {answer.text}")

"""Requests to a running TorchServe: for recommendations, and for how it fares."""

from pathlib import Path
from typing import Any

import httpx

from serving.client.client import PATH
from serving.local import LocalServing
from serving.torchserve.archive import MODEL
from serving.torchserve.config import CONFIG_FILE


def ask(api: httpx.Client, **request: Any) -> dict[str, Any]:
    """The answer to a good request."""
    answer = api.post(PATH, json=request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def pin_ids(answer: dict[str, Any]) -> list[str]:
    return [pin["pin_id"] for pin in answer["pins"]]


def describe(serving: LocalServing) -> dict[str, Any]:
    """What TorchServe says of the model, its workers and its queue."""
    return httpx.get(f"{serving.state.management_url}/models/{MODEL}").json()[0]


def num_waiting(serving: LocalServing) -> int:
    """Requests that no worker has taken."""
    return describe(serving)["jobQueueStatus"]["pendingRequests"]


def server_properties(work: Path) -> dict[str, str]:
    """What the TorchServe of a work folder was started with."""
    lines = (work / CONFIG_FILE).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)
